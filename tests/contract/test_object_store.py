"""What every ObjectStore does."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from service.adapters.object_store import FolderObjectStore
from service.domain.jobs import Job, JobFailure, JobState
from service.domain.ports import ObjectStore
from service.errors import JobCancelled, JobError, ServiceError
from tests.builders.jobs import MIDNIGHT, a_job, job_id


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return FolderObjectStore(tmp_path)


def accept(store: ObjectStore, number: int = 1) -> Job:
    job = a_job(number)
    with store.receive() as upload:
        upload.write(b"PK")
        upload.write(b"rest")
        upload.accept(job)
    return job


def write_report(folder: Path) -> None:
    (folder / "report.json").write_text("{}")


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_an_accepted_upload_is_read_back(store: ObjectStore) -> None:
    job = accept(store)
    assert store.upload_path(job.id).read_bytes() == b"PKrest"
    assert store.job(job.id) == job
    assert list(store.job_ids()) == [job.id]


def test_size_and_digest_are_of_what_was_written(store: ObjectStore) -> None:
    with store.receive() as upload:
        upload.write(b"PK")
        upload.write(b"rest")
        assert upload.size == 6
        assert upload.sha256 == hashlib.sha256(b"PKrest").hexdigest()


def test_an_upload_not_accepted_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    with store.receive() as upload:
        upload.write(b"PK")
    assert files(tmp_path) == []
    assert list(store.job_ids()) == []


def test_a_full_disk_is_named_and_leaves_nothing(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ServiceError) as caught:
        accept(store)
    assert caught.value.code == "storage_full"
    assert files(tmp_path) == []


def test_a_published_result_makes_the_job_succeeded(store: ObjectStore) -> None:
    job = accept(store)
    store.publish(job.id, write_report)
    assert store.job(job.id).state is JobState.SUCCEEDED
    assert store.artifact_names(job.id) == ("report.json",)
    assert store.result_path(job.id, "report.json").read_text() == "{}"


def test_a_result_that_fails_half_way_is_never_seen(store: ObjectStore, tmp_path: Path) -> None:
    job = accept(store)

    def fail(folder: Path) -> None:
        write_report(folder)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.publish(job.id, fail)
    assert store.job(job.id) == job
    assert not [name for name in files(tmp_path) if "report" in name]


def test_a_second_result_leaves_the_first(store: ObjectStore, tmp_path: Path) -> None:
    job = accept(store)
    store.publish(job.id, write_report)
    store.publish(job.id, lambda folder: (folder / "report.json").touch())
    assert store.result_path(job.id, "report.json").read_text() == "{}"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_result_of_a_deleted_job_is_dropped(store: ObjectStore, tmp_path: Path) -> None:
    job = accept(store)

    def write_and_delete(folder: Path) -> None:
        write_report(folder)
        store.delete(job.id)

    with pytest.raises(JobError) as caught:
        store.publish(job.id, write_and_delete)
    assert caught.value.code == "job_not_found"
    assert files(tmp_path) == []


def test_a_job_that_was_cancelled_keeps_no_result(store: ObjectStore, tmp_path: Path) -> None:
    before, after = accept(store, 1), accept(store, 2)

    def write_and_cancel(folder: Path) -> None:
        write_report(folder)
        store.record_end(before.moved_to(JobState.CANCELLED, MIDNIGHT))

    with pytest.raises(JobCancelled):
        store.publish(before.id, write_and_cancel)
    store.publish(after.id, write_report)
    store.record_end(after.moved_to(JobState.CANCELLED, MIDNIGHT))

    assert not [name for name in files(tmp_path) if "report" in name]
    assert store.job(before.id).state is store.job(after.id).state is JobState.CANCELLED


def test_a_disk_that_a_result_fills_is_named(store: ObjectStore, tmp_path: Path) -> None:
    job = accept(store)

    def fill(folder: Path) -> None:
        write_report(folder)
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(ServiceError) as caught:
        store.publish(job.id, fill)
    assert caught.value.code == "storage_full"
    assert not [name for name in files(tmp_path) if "report" in name]


def test_a_folder_without_a_request_is_no_job(store: ObjectStore, tmp_path: Path) -> None:
    job = accept(store)
    (tmp_path / "jobs" / job.id / "request.json").unlink()
    with pytest.raises(JobError):
        store.job(job.id)


def test_how_a_job_ended_outlives_the_job_store(store: ObjectStore) -> None:
    job = accept(store)
    failure = JobFailure(code="no_dicom", detail="no DICOM file was found")
    ended = job.moved_to(JobState.FAILED, MIDNIGHT, error=failure)
    store.record_end(ended)
    assert store.job(job.id) == ended


def test_the_end_of_a_deleted_job_is_not_kept(store: ObjectStore, tmp_path: Path) -> None:
    store.record_end(a_job(1, JobState.FAILED))
    assert files(tmp_path) == []


def test_before_a_result_there_are_no_artifacts(store: ObjectStore) -> None:
    job = accept(store)
    for call in (lambda: store.artifact_names(job.id), lambda: store.result_path(job.id, "a")):
        with pytest.raises(JobError) as caught:
            call()
        assert caught.value.code == "result_not_ready"


@pytest.mark.parametrize("name", ["../request.json", "/etc/passwd", "other.json", "", ".", ".."])
def test_only_published_names_lead_to_files(store: ObjectStore, name: str) -> None:
    job = accept(store)
    store.publish(job.id, write_report)
    with pytest.raises(JobError) as caught:
        store.result_path(job.id, name)
    assert caught.value.code == "artifact_not_found"


@pytest.mark.parametrize("name", ["../jobs", "..", "", "x" * 32, job_id(9), "\n" + job_id(1)])
def test_only_ids_of_jobs_lead_to_jobs(store: ObjectStore, name: str) -> None:
    accept(store)
    for call in (store.upload_path, store.job, store.artifact_names):
        with pytest.raises(JobError) as caught:
            call(name)
        assert caught.value.code == "job_not_found"
    store.delete(name)
    assert list(store.job_ids()) == [job_id(1)]


def test_a_dropped_upload_is_gone_and_the_job_is_not(store: ObjectStore) -> None:
    job = accept(store)
    store.drop_upload(job.id)
    store.drop_upload(job.id)
    assert store.job(job.id) == job
    with pytest.raises(JobError):
        store.upload_path(job.id)


def test_a_deleted_job_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    job = accept(store)
    store.publish(job.id, write_report)
    store.delete(job.id)
    assert files(tmp_path) == []


def test_a_new_run_removes_what_a_killed_one_left(store: ObjectStore, tmp_path: Path) -> None:
    job, other = accept(store, 1), accept(store, 2)
    for name in (job.id, other.id):
        (tmp_path / "incoming" / f"{name}.killed").mkdir()
    store.publish(job.id, write_report)
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == [f"{other.id}.killed"]


def test_the_sweep_takes_only_what_nobody_has_touched(store: ObjectStore, tmp_path: Path) -> None:
    with store.receive() as upload:
        upload.write(b"PK")
        old = tmp_path / "incoming" / "old"
        old.mkdir()
        (old / "upload.zip").touch()
        long_ago = time.time() - 1000
        for path in (old / "upload.zip", old):
            os.utime(path, (long_ago, long_ago))
        store.sweep(older_than_s=500)
        assert not old.exists()
        assert len(list((tmp_path / "incoming").iterdir())) == 1
