"""Orthanc keeps CT, segmentation and report as one study and gives every byte back."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pydicom
import pytest

from service.domain.findings import FemurSide
from tests.builders.analyses import analysis, axial_geometry
from tests.builders.ct_series import PATIENT, PATIENT_ID
from tests.builders.dicom_results import DicomResults, write_dicom_results
from tests.peers import peer

READY_S = 60.0

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Where Debian's package of the plugin puts it."""

WHOLE_BYTES = axial_geometry((8, 12, 16))
"""Orthanc 1.10 splits a BINARY segmentation into frames only where a row fills whole bytes."""

BOUNDARY = "part-of-femurct"

PLANES = WHOLE_BYTES.shape_zyx[0]


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[httpx.Client]:
    """An empty Orthanc of this test's own, on loopback, its files thrown away."""
    program = peer("Orthanc", "orthanc")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "StorageDirectory": str(tmp_path / "db"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [str(DICOMWEB)] if DICOMWEB.is_file() else [],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, str(tmp_path / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
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


@pytest.fixture
def results(tmp_path: Path) -> DicomResults:
    return write_dicom_results(analysis(WHOLE_BYTES, *FemurSide), tmp_path)


def test_orthanc_stores_finds_and_returns_equal_bytes_over_rest(
    orthanc: httpx.Client, results: DicomResults
) -> None:
    for ct_slice in results.analysis.series.slices:
        orthanc.post("/instances", content=ct_slice.member.content).raise_for_status()
    for file in (results.segmentation, results.measurements):
        stored = orthanc.post("/instances", content=file.read_bytes()).raise_for_status().json()
        assert stored["Status"] == "Success"
        back = orthanc.get(f"/instances/{stored['ID']}/file").raise_for_status().content
        assert back == file.read_bytes()
    seg = pydicom.dcmread(results.segmentation)
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


@pytest.fixture
def dicomweb(orthanc: httpx.Client, results: DicomResults) -> httpx.Client:
    """The same Orthanc with CT and results stored over STOW-RS (PS3.18, 10.5)."""
    peer(str(DICOMWEB), "orthanc-dicomweb")
    orthanc.base_url = orthanc.base_url.join("/dicom-web")
    files = [
        *(ct_slice.member.content for ct_slice in results.analysis.series.slices),
        results.segmentation.read_bytes(),
        results.measurements.read_bytes(),
    ]
    part = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    stored = orthanc.post(
        "/studies",
        content=b"".join(part + file + b"\r\n" for file in files) + f"--{BOUNDARY}--".encode(),
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            "Accept": "application/dicom+json",
        },
    )
    answer = pydicom.Dataset.from_json(stored.raise_for_status().text)
    assert len(answer.ReferencedSOPSequence) == len(files)
    assert not answer.FailedSOPSequence
    return orthanc


def test_qido_finds_patient_study_series_and_instances(
    dicomweb: httpx.Client, results: DicomResults
) -> None:
    written = [pydicom.dcmread(f) for f in (results.segmentation, results.measurements)]
    series = results.analysis.series

    (study,) = _query(dicomweb, f"/studies?PatientID={PATIENT_ID}")
    assert (study.PatientName, study.PatientID) == (PATIENT, PATIENT_ID)
    assert study.StudyInstanceUID == series.study_instance_uid
    assert sorted(study.ModalitiesInStudy) == ["CT", "SEG", "SR"]

    of_study = f"/studies/{study.StudyInstanceUID}"
    found = {s.SeriesInstanceUID: s for s in _query(dicomweb, f"{of_study}/series")}
    assert {uid: s.Modality for uid, s in found.items()} == {
        series.series_instance_uid: "CT",
        written[0].SeriesInstanceUID: "SEG",
        written[1].SeriesInstanceUID: "SR",
    }
    assert found[series.series_instance_uid].NumberOfSeriesRelatedInstances == PLANES
    for ds in written:
        (only,) = _query(dicomweb, f"{of_study}/series/{ds.SeriesInstanceUID}/instances")
        assert (only.SOPClassUID, only.SOPInstanceUID) == (ds.SOPClassUID, ds.SOPInstanceUID)
        assert (only.PatientID, only.Modality) == (PATIENT_ID, ds.Modality)


def _query(dicomweb: httpx.Client, url: str) -> list[pydicom.Dataset]:
    """QIDO-RS (PS3.18, 10.6)."""
    found = dicomweb.get(url, headers={"Accept": "application/dicom+json"})
    return [pydicom.Dataset.from_json(item) for item in found.raise_for_status().json()]


def test_wado_returns_both_files_and_every_frame_byte_for_byte(
    dicomweb: httpx.Client, results: DicomResults
) -> None:
    for file in (results.segmentation, results.measurements):
        url = _instance(pydicom.dcmread(file))
        (back,) = _parts(dicomweb, url, "application/dicom")
        assert back == file.read_bytes()
    seg = pydicom.dcmread(results.segmentation)
    numbers = ",".join(str(n + 1) for n in range(seg.NumberOfFrames))
    frames = _parts(dicomweb, f"{_instance(seg)}/frames/{numbers}", "application/octet-stream")
    assert len(frames) == seg.NumberOfFrames
    assert b"".join(frames) == seg.PixelData


def _instance(ds: pydicom.Dataset) -> str:
    series = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
    return f"{series}/instances/{ds.SOPInstanceUID}"


def _parts(dicomweb: httpx.Client, url: str, media_type: str) -> list[bytes]:
    """Bodies of a multipart answer of WADO-RS (PS3.18, 10.4)."""
    answer = dicomweb.get(url, headers={"Accept": f'multipart/related; type="{media_type}"'})
    boundary = answer.raise_for_status().headers["Content-Type"].rpartition("boundary=")[2]
    _, *parts, _ = answer.content.split(f"--{boundary}".encode())
    return [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
