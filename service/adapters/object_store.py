"""Jobs' files in a folder; the truth about which jobs exist.

jobs/ID/upload.zip      gone once the job has ended
jobs/ID/request.json    the job as it was accepted
jobs/ID/result/         published by one rename: the job succeeded
jobs/ID/outcome.json    the job as it ended otherwise
incoming/               what is being received or written; swept when its process died
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

from service.domain.jobs import Job, JobState
from service.errors import JobCancelled, JobError, ServiceError

UPLOAD_NAME = "upload.zip"
REQUEST_NAME = "request.json"
OUTCOME_NAME = "outcome.json"
RESULT_NAME = "result"

_JOB_ID = re.compile(r"[0-9a-f]{32}")


class FileUpload:
    """An Upload that is written to a file; see the port."""

    def __init__(self, folder: Path, jobs: Path) -> None:
        self._folder = folder
        self._jobs = jobs
        self._hash = hashlib.sha256()
        self._size = 0
        folder.mkdir(mode=0o700)
        self._file = (folder / UPLOAD_NAME).open("xb")

    def __enter__(self) -> FileUpload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk fails the flush once more
            self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    @property
    def sha256(self) -> str:
        """Hexadecimal, of the bytes written so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            ServiceError: ``storage_full``.
        """
        with _storage_errors():
            self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def accept(self, job: Job) -> None:
        """Make the job durable: all of it or nothing (fsync, then one rename)."""
        with _storage_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            _write_durably(self._folder / REQUEST_NAME, job)
            _sync_folder(self._folder)
            self._folder.rename(self._jobs / job.id)
            _sync_folder(self._jobs)


class FolderObjectStore:
    """An ObjectStore in a folder of one file system."""

    def __init__(self, root: Path) -> None:
        self._jobs = root / "jobs"
        self._incoming = root / "incoming"
        for folder in (self._jobs, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def receive(self) -> AbstractContextManager[FileUpload]:
        """Begin to receive an upload."""
        return FileUpload(self._incoming / secrets.token_hex(16), self._jobs)

    def upload_path(self, job_id: str) -> Path:
        """Where the upload lies.

        Raises:
            JobError: ``job_not_found``.
        """
        path = self._folder(job_id) / UPLOAD_NAME
        if not path.is_file():
            raise _not_found(job_id)
        return path

    def job(self, job_id: str) -> Job:
        """The job as far as its files tell: accepted, or how it ended.

        Raises:
            JobError: ``job_not_found``.
        """
        folder = self._folder(job_id)
        with contextlib.suppress(FileNotFoundError):
            return _read(folder / OUTCOME_NAME)
        try:
            accepted = _read(folder / REQUEST_NAME)
        except FileNotFoundError as error:  # deleted at this moment
            raise _not_found(job_id) from error
        if not (folder / RESULT_NAME).is_dir():
            return accepted
        return accepted.model_copy(update={"state": JobState.SUCCEEDED})

    def publish(self, job_id: str, write_result: Callable[[Path], None]) -> None:
        """Make a result visible by one atomic rename; a second result leaves the first.

        Raises:
            JobError: ``job_not_found`` when the job was deleted meanwhile, ``cancelled`` when it
                ended otherwise.
            ServiceError: ``storage_full``.
        """
        folder = self._folder(job_id)
        self._remove_drafts(job_id)
        draft = self._incoming / f"{job_id}.{secrets.token_hex(8)}"
        draft.mkdir(mode=0o700)
        try:
            with _storage_errors():
                write_result(draft)
                for path in draft.iterdir():
                    _sync_file(path)
                _sync_folder(draft)
                try:
                    draft.rename(folder / RESULT_NAME)
                except FileNotFoundError as error:
                    raise _not_found(job_id) from error
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                _sync_folder(folder)
            if (folder / OUTCOME_NAME).exists():  # looked at last, as record_end removes last
                shutil.rmtree(folder / RESULT_NAME, ignore_errors=True)
                raise JobCancelled("the job ended before its result was there")
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def record_end(self, job: Job) -> None:
        """Keep how a job ended without a result, and no result; see the port."""
        folder = self._jobs / job.id
        draft = folder / f".{secrets.token_hex(8)}"
        with _storage_errors(), contextlib.suppress(FileNotFoundError):
            _write_durably(draft, job)
            draft.rename(folder / OUTCOME_NAME)
            _sync_folder(folder)
        shutil.rmtree(folder / RESULT_NAME, ignore_errors=True)

    def drop_upload(self, job_id: str) -> None:
        """Remove the upload of a job that will not run any more."""
        (self._jobs / job_id / UPLOAD_NAME).unlink(missing_ok=True)

    def artifact_names(self, job_id: str) -> tuple[str, ...]:
        """Names of the result's files, sorted.

        Raises:
            JobError: ``job_not_found`` or ``result_not_ready``.
        """
        folder = self._folder(job_id) / RESULT_NAME
        if not folder.is_dir():
            raise JobError(
                "the job has no result yet; ask for the job until its state is succeeded",
                code="result_not_ready",
            )
        return tuple(sorted(path.name for path in folder.iterdir()))

    def result_path(self, job_id: str, name: str) -> Path:
        """Where one file of the result lies; only names that were published lead anywhere.

        Raises:
            JobError: ``job_not_found``, ``result_not_ready`` or ``artifact_not_found``.
        """
        names = self.artifact_names(job_id)
        if name not in names:
            raise JobError(
                f"the result has no such file; it has {', '.join(names)}", code="artifact_not_found"
            )
        return self._jobs / job_id / RESULT_NAME / name

    def job_ids(self) -> Iterator[str]:
        """All jobs in the store."""
        return (path.name for path in self._jobs.iterdir() if _JOB_ID.fullmatch(path.name))

    def delete(self, job_id: str) -> None:
        """Remove a job and all its files; nothing happens where there is none."""
        doomed = self._incoming / secrets.token_hex(16)
        with contextlib.suppress(JobError, FileNotFoundError):
            self._folder(job_id).rename(doomed)  # the job is gone at once, not file by file
        shutil.rmtree(doomed, ignore_errors=True)

    def sweep(self, older_than_s: float) -> None:
        """Remove what processes that died left half written, untouched for this long."""
        for folder in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                touched = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
                if touched < time.time() - older_than_s:
                    shutil.rmtree(folder, ignore_errors=True)

    def _remove_drafts(self, job_id: str) -> None:
        """Remove what runs that were killed have left of this job's result."""
        for draft in self._incoming.iterdir():
            if draft.name.partition(".")[0] == job_id:
                shutil.rmtree(draft, ignore_errors=True)

    def _folder(self, job_id: str) -> Path:
        folder = self._jobs / job_id
        if not _JOB_ID.fullmatch(job_id) or not folder.is_dir():
            raise _not_found(job_id)
        return folder


def _not_found(job_id: str) -> JobError:
    shown = job_id if _JOB_ID.fullmatch(job_id) else "of that name"
    return JobError(f"there is no job {shown}; it may have been deleted")


def _read(path: Path) -> Job:
    return Job.model_validate_json(path.read_bytes())


def _write_durably(path: Path, job: Job) -> None:
    with path.open("wb") as file:
        file.write(job.model_dump_json().encode())
        file.flush()
        os.fsync(file.fileno())


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ServiceError(
            "the disk is full; free space in the data directory or delete finished jobs",
            code="storage_full",
        ) from error
