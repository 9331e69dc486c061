import io
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from service.domain.findings import FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.sample.dicom_series import SeriesIdentity, write_series
from service.sample.scanner import Acquisition, FemurTruth, RenderedCt

SHAPE = (5, 16, 12)


@pytest.fixture
def rendered() -> RenderedCt:
    hu = np.random.default_rng(0).integers(-1024, 3000, SHAPE).astype(np.int16)
    grid = VolumeGeometry.axis_aligned(SHAPE, SpacingMm(1.25, 0.8, 0.8), (-20.0, -30.5, 7.0))
    empty = np.zeros(SHAPE, np.bool_)
    return RenderedCt(
        hu,
        grid,
        FemurTruth(FemurSide.LEFT, empty, empty),
        FemurTruth(FemurSide.RIGHT, empty, empty),
    )


def read(path: Path) -> list[FileDataset]:
    with zipfile.ZipFile(path) as archive:
        return [pydicom.dcmread(io.BytesIO(archive.read(n))) for n in archive.namelist()]


def test_slices_come_back_evenly_spaced_with_their_hu(
    rendered: RenderedCt, quiet: Acquisition, tmp_path: Path
) -> None:
    write_series(rendered, quiet, tmp_path / "s.zip")

    slices = sorted(read(tmp_path / "s.zip"), key=lambda s: float(s.ImagePositionPatient[2]))
    heights = [float(s.ImagePositionPatient[2]) for s in slices]
    hu = [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]

    assert np.diff(heights) == pytest.approx(1.25)
    assert slices[0].ImagePositionPatient == [-20.0, -30.5, 7.0]
    assert np.array_equal(np.stack(hu), rendered.hu)


def test_the_first_instance_is_the_most_superior(
    rendered: RenderedCt, quiet: Acquisition, tmp_path: Path
) -> None:
    write_series(rendered, quiet, tmp_path / "s.zip")

    slices = read(tmp_path / "s.zip")

    assert [s.InstanceNumber for s in slices] == [1, 2, 3, 4, 5]
    assert float(slices[0].ImagePositionPatient[2]) == 12.0


def test_one_series_with_distinct_valid_uids(
    rendered: RenderedCt, quiet: Acquisition, tmp_path: Path
) -> None:
    write_series(rendered, quiet, tmp_path / "s.zip")

    slices = read(tmp_path / "s.zip")

    assert len({s.SeriesInstanceUID for s in slices}) == 1
    assert len({s.SOPInstanceUID for s in slices}) == 5
    assert all(s.SOPInstanceUID.is_valid for s in slices)
    assert slices[0].Modality == "CT"
    assert slices[0].PatientPosition == "HFS"
    assert "SYNTHETIC" in slices[0].SeriesDescription


def test_the_same_scan_gives_the_same_bytes(
    rendered: RenderedCt, quiet: Acquisition, tmp_path: Path
) -> None:
    write_series(rendered, quiet, tmp_path / "a.zip")
    write_series(rendered, quiet, tmp_path / "b.zip")

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_uids_differ_by_seed() -> None:
    assert SeriesIdentity(0).uid("series") != SeriesIdentity(1).uid("series")
