"""Other people's programs accept the DICOM files and see what we meant.

dciodvfy (dicom3tools), dcmtk, SimpleITK and dcm2niix; highdicom stands in the unit tests, Orthanc
in ``test_dicom_orthanc``.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import VolumeGeometry
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.analyses import analysis
from tests.builders.ct_series import AXIAL, CtSeriesSpec, ct_members
from tests.builders.dicom_results import DicomResults, write_dicom_results
from tests.builders.source_grids import GRIDS
from tests.peers import dciodvfy_errors, output_of, peer


@pytest.fixture(scope="module", params=GRIDS.values(), ids=GRIDS)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DicomResults:
    grid: VolumeGeometry = request.param
    return write_dicom_results(analysis(grid, *FemurSide), tmp_path_factory.mktemp("dicom"))


def test_dciodvfy_finds_no_error(written: DicomResults) -> None:
    assert dciodvfy_errors(written.segmentation, "Segmentation") == []
    assert dciodvfy_errors(written.measurements, "EnhancedSR") == []


def test_dcmtk_reads_both(written: DicomResults) -> None:
    dcmdump, dcmftest = peer("dcmdump", "dcmtk"), peer("dcmftest", "dcmtk")
    dsrdump = peer("dsrdump", "dcmtk")
    seg, sr = written.segmentation, written.measurements
    assert output_of(dcmftest, seg, sr).splitlines() == [f"yes: {seg}", f"yes: {sr}"]
    dumped = output_of(dcmdump, "+P", "SegmentLabel", "+P", "NumberOfFrames", seg)
    assert dumped.count("SegmentLabel") == len(written.segments)
    assert f"[{pydicom.dcmread(seg).NumberOfFrames}]" in dumped
    text = output_of(dsrdump, sr)
    assert text.startswith("Enhanced SR Document")
    assert text.count('NUM:(,,"Volume")') >= 5
    assert "W: " not in text
    assert "E: " not in text


def test_simpleitk_reads_the_same_voxels(written: DicomResults) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="no SimpleITK: pip install SimpleITK")
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(written.segmentation))) != 0
    expected = [
        plane
        for segment in written.segments
        for plane in segment.on_source(written.analysis)
        if plane.any()
    ]
    assert frames.shape == (len(expected), *expected[0].shape)
    order = _planes_in_file_order(written)
    full = {s.number: s.on_source(written.analysis) for s in written.segments}
    meant = np.stack([full[number][k] != 0 for number, k in order])
    # its GDCM leaves the bits after the last whole byte of the pixel data unread
    whole = meant.size // 8 * 8
    np.testing.assert_array_equal(frames.ravel()[:whole], meant.ravel()[:whole])


def _planes_in_file_order(written: DicomResults) -> list[tuple[int, int]]:
    """Segment number and plane of each frame, as the file says."""
    seg = pydicom.dcmread(written.segmentation)
    geometry = written.analysis.source_geometry
    return [
        (
            int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber),
            round(
                geometry.lps_to_index(
                    [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
                )[0]
            ),
        )
        for groups in seg.PerFrameFunctionalGroupsSequence
    ]


@pytest.mark.parametrize(
    "orientation",
    [
        AXIAL,
        (-1, 0, 0, 0, 1, 0),
        (1, 0, 0, 0, 0, -1),
        (0, 1, 0, 0, 0, -1),
        (0.8, 0.6, 0, -0.6, 0.8, 0),
    ],
    ids=["axial", "flipped", "coronal", "sagittal", "oblique"],
)
def test_dcm2niix_puts_the_source_where_we_do(
    orientation: tuple[float, ...], tmp_path: Path
) -> None:
    dcm2niix = peer("dcm2niix", "dcm2niix")
    members = ct_members(CtSeriesSpec(orientation=orientation))
    source = tmp_path / "in"
    source.mkdir()
    for member in members:
        (source / f"{member.position}.dcm").write_bytes(member.content)
    text = output_of(dcm2niix, "-z", "n", "-f", "ct", "-o", tmp_path, source)
    assert (tmp_path / "ct.nii").exists(), text
    theirs = nib.load(tmp_path / "ct.nii")
    ours = read_volume(read_series(members))

    # every voxel of the ramp has its own HU, so each is found in both
    hu = np.asarray(theirs.dataobj)
    order = np.argsort(hu, axis=None)
    found = nib.affines.apply_affine(theirs.affine, np.argwhere(np.ones_like(hu))[order])
    mine = np.argsort(ours.hu, axis=None)
    zyx = np.argwhere(np.ones_like(ours.hu))[mine]
    expected = ours.geometry.index_to_lps(zyx) * (-1, -1, 1)
    np.testing.assert_array_equal(np.sort(hu, axis=None), np.sort(ours.hu, axis=None))
    np.testing.assert_allclose(found, expected, atol=0.01)
