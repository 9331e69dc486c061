"""The transition table and what a change of state does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from service.domain.jobs import (
    TRANSITIONS,
    Job,
    JobFailure,
    JobOptions,
    JobState,
    Progress,
    Stage,
)
from service.errors import JobError
from tests.builders.jobs import MIDNIGHT, a_job

LATER = MIDNIGHT + timedelta(seconds=60)


@pytest.mark.parametrize("before", JobState)
@pytest.mark.parametrize("after", JobState)
def test_only_changes_of_the_table_are_allowed(before: JobState, after: JobState) -> None:
    job = a_job(1, before)
    if after in TRANSITIONS[before]:
        assert job.moved_to(after, LATER).state is after
    else:
        with pytest.raises(JobError) as caught:
            job.moved_to(after, LATER)
        assert caught.value.code == "job_state"


def test_final_states_lead_to_nothing_but_expiry() -> None:
    for state in JobState:
        if state.is_final:
            assert TRANSITIONS[state] <= {JobState.EXPIRED}


def test_each_change_raises_the_version_by_one() -> None:
    job = a_job(1, JobState.RUNNING)
    assert job.version == 2
    assert job.at(Stage.CROP, Progress(), LATER).version == 3
    assert job.touched(LATER).version == 3
    assert job.given_back(LATER).version == 3


def test_a_run_counts_as_a_try_when_it_starts() -> None:
    job = a_job(1, JobState.RUNNING)
    assert (job.tries, job.stage) == (1, Stage.READ)
    again = job.moved_to(JobState.QUEUED, LATER).moved_to(JobState.RUNNING, LATER)
    assert (again.tries, again.started_at) == (2, LATER)


def test_a_run_ended_by_its_workers_shutdown_does_not_count() -> None:
    given_back = a_job(1, JobState.RUNNING).given_back(LATER)
    assert (given_back.state, given_back.tries) == (JobState.QUEUED, 0)


def test_a_new_run_starts_from_no_progress() -> None:
    job = a_job(1, JobState.RUNNING).at(Stage.ENDOSTEAL, Progress(done=5, total=9), LATER)
    again = job.moved_to(JobState.QUEUED, LATER).moved_to(JobState.RUNNING, LATER)
    assert (again.stage, again.progress) == (Stage.READ, Progress())


def test_a_job_that_succeeded_is_wholly_done() -> None:
    job = a_job(1, JobState.RUNNING).at(Stage.WRITE, Progress(done=5, total=9), LATER)
    assert job.moved_to(JobState.SUCCEEDED, LATER).progress == Progress(done=9, total=9)


def test_a_failure_says_why() -> None:
    failure = JobFailure(code="no_dicom", detail="no DICOM file was found")
    assert a_job().moved_to(JobState.FAILED, LATER, error=failure).error == failure


def test_jobs_with_equal_input_and_options_share_a_fingerprint() -> None:
    job, same = a_job(1), a_job(2).model_copy(update={"input_sha256": "sha of 1"})
    assert job.fingerprint == same.fingerprint
    other = job.model_copy(update={"options": JobOptions(stride_z=1)})
    assert job.fingerprint != other.fingerprint
    assert job.fingerprint != a_job(2).fingerprint


@pytest.mark.parametrize("name", ["", "1", "../" * 10 + "ab", "G" * 32])
def test_an_id_is_32_hexadecimal_digits(name: str) -> None:
    with pytest.raises(ValidationError):
        Job(id=name, created_at=MIDNIGHT, updated_at=MIDNIGHT)


@pytest.mark.parametrize("stride", [0, 65])
def test_a_stride_lies_within_a_window(stride: int) -> None:
    with pytest.raises(ValidationError):
        JobOptions(stride_z=stride)
    assert JobOptions(stride_z=64).stride_z == 64
