"""Other people's programs accept the DICOM files and see what we meant.

dciodvfy (dicom3tools), dcmtk, Orthanc, SimpleITK and dcm2niix; highdicom stands in the unit tests.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pydicom
import pytest

from service.artifacts.dicom_seg import write_segmentation
from service.artifacts.dicom_source import DicomSource
from service.artifacts.dicom_sr import write_measurements
from service.artifacts.segments import Segment, segments_of
from service.domain.findings import FemurSide
from service.domain.geometry import VolumeGeometry
from service.domain.imaging import Analysis
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.analyses import analysis
from tests.builders.ct_series import AXIAL, PATIENT_ID, CtSeriesSpec, ct_members
from tests.builders.source_grids import GRIDS, SMALL
from tests.peers import output_of, peer

READY_S = 60.0


@dataclass(frozen=True)
class Written:
    """One analysis and its DICOM files."""

    analysis: Analysis
    segments: tuple[Segment, ...]
    folder: Path

    @property
    def files(self) -> tuple[Path, Path]:
        return self.folder / "segmentation.dcm", self.folder / "measurements.dcm"


@pytest.fixture(scope="module", params=GRIDS.values(), ids=GRIDS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    grid: VolumeGeometry = request.param
    return _write(analysis(grid, *FemurSide), tmp_path_factory.mktemp("dicom"))


def _write(value: Analysis, folder: Path) -> Written:
    segments, source = segments_of(value), DicomSource(value.series)
    seg = write_segmentation(value, segments, source, folder / "segmentation.dcm")
    write_measurements(value, segments, seg, source, folder / "measurements.dcm")
    return Written(value, segments, folder)


def test_dciodvfy_finds_no_error(written: Written) -> None:
    dciodvfy = peer("dciodvfy", "dicom3tools")
    for file, iod in zip(written.files, ("Segmentation", "EnhancedSR"), strict=True):
        lines = output_of(dciodvfy, file).splitlines()
        assert iod in lines
        assert [line for line in lines if line.startswith("Error")] == []


def test_dcmtk_reads_both(written: Written) -> None:
    dcmdump, dcmftest = peer("dcmdump", "dcmtk"), peer("dcmftest", "dcmtk")
    dsrdump = peer("dsrdump", "dcmtk")
    seg, sr = written.files
    assert output_of(dcmftest, seg, sr).splitlines() == [f"yes: {seg}", f"yes: {sr}"]
    dumped = output_of(dcmdump, "+P", "SegmentLabel", "+P", "NumberOfFrames", seg)
    assert dumped.count("SegmentLabel") == len(written.segments)
    assert f"[{pydicom.dcmread(seg).NumberOfFrames}]" in dumped
    text = output_of(dsrdump, sr)
    assert text.startswith("Enhanced SR Document")
    assert text.count('NUM:(,,"Volume")') >= 5
    assert "W: " not in text
    assert "E: " not in text


def test_simpleitk_reads_the_same_voxels(written: Written) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="no SimpleITK: pip install SimpleITK")
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(written.files[0]))) != 0
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


def _planes_in_file_order(written: Written) -> list[tuple[int, int]]:
    """Segment number and plane of each frame, as the file says."""
    seg = pydicom.dcmread(written.files[0])
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


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An Orthanc of this test's own, on loopback, its files thrown away."""
    program = peer("Orthanc", "orthanc")
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "StorageDirectory": str(folder / "db"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait_for(client, server)
            yield client
    finally:
        server.terminate()
        server.wait(timeout=60)


def _wait_for(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert server.poll() is None, "Orthanc ended"
        try:
            client.get("/system").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("Orthanc did not answer")


def test_orthanc_stores_finds_and_returns_equal_pixel_data(
    orthanc: httpx.Client, tmp_path: Path
) -> None:
    written = _write(analysis(SMALL, *FemurSide), tmp_path)
    for ct_slice in written.analysis.series.slices:
        orthanc.post("/instances", content=ct_slice.member.content).raise_for_status()
    for file in written.files:
        stored = orthanc.post("/instances", content=file.read_bytes()).raise_for_status().json()
        assert stored["Status"] == "Success"
        back = orthanc.get(f"/instances/{stored['ID']}/file").raise_for_status().content
        assert back == file.read_bytes()
    seg = pydicom.dcmread(written.files[0])
    query = {
        "Level": "Series",
        "Query": {"PatientID": PATIENT_ID, "StudyInstanceUID": seg.StudyInstanceUID},
        "Expand": True,
    }
    found = orthanc.post("/tools/find", json=query).raise_for_status().json()
    # one study of one patient holds the CT and both results
    assert sorted(s["MainDicomTags"]["Modality"] for s in found) == ["CT", "SEG", "SR"]
    frames = orthanc.post(
        "/tools/find",
        json={"Level": "Instance", "Query": {"SOPInstanceUID": seg.SOPInstanceUID}},
    ).json()
    raw = orthanc.get(f"/instances/{frames[0]}/content/7fe0-0010/0")
    assert raw.raise_for_status().content == seg.PixelData


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
