"""What a finished job leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import FileResponse

from service.api.auth import authenticate
from service.api.dependencies import ApiServices, Services
from service.api.routes.jobs import problems
from service.api.schemas import ArtifactLink, ArtifactList, job_links
from service.domain.findings import AnalysisReport
from service.domain.job_recovery import find_job
from service.domain.jobs import JobState
from service.errors import JobError

REPORT_NAME = "report.json"
MASKS_NAME = "masks_rle.json"

_MEDIA_TYPES = {
    ".json": "application/json",
    ".gz": "application/gzip",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".stl": "model/stl",
    ".glb": "model/gltf-binary",
    ".dcm": "application/dicom",
}

NO_SNIFFING = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private"}

_RESULT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the report; with `masks=rle` it has one more key, `masks`: an object "
        "with `{shape_zyx, counts}` per mask, C order, runs starting with zeros",
        "model": AnalysisReport,
    },
    **problems(401, 403, 404, 409, 410, 422, 503),
}

router = APIRouter(
    prefix="/v1/jobs/{job_id}", tags=["results"], dependencies=[Depends(authenticate)]
)


@router.get("/result", response_class=Response, responses=_RESULT)
def get_result(
    job_id: str,
    services: Services,
    masks: Annotated[Literal["rle"] | None, Query(description="put the masks inline")] = None,
) -> Response:
    """The report of a job that succeeded."""
    with reading_result(job_id, services):
        body = services.objects.result_path(job_id, REPORT_NAME).read_bytes()
        if masks is not None:
            inline = services.objects.result_path(job_id, MASKS_NAME).read_bytes()
            # joined as text: parsing millions of runs would hold up every other request
            body = body.rstrip().removesuffix(b"}") + b',"masks":' + inline + b"}"
    return Response(body, media_type="application/json", headers=NO_SNIFFING)


@router.get(
    "/artifacts", response_model=ArtifactList, responses=problems(401, 403, 404, 409, 410, 503)
)
def list_artifacts(job_id: str, services: Services) -> ArtifactList:
    """Names of the result's files."""
    with reading_result(job_id, services):
        return ArtifactList(
            artifacts=tuple(
                ArtifactLink(
                    name=name,
                    size_bytes=services.objects.result_path(job_id, name).stat().st_size,
                    href=f"{job_links(job_id).artifacts}/{name}",
                )
                for name in services.objects.artifact_names(job_id)
            )
        )


@router.get(
    "/artifacts/{name}",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "the file"},
        **problems(401, 403, 404, 409, 410, 503),
    },
)
def get_artifact(job_id: str, name: str, services: Services) -> FileResponse:
    """One file of the result."""
    with reading_result(job_id, services):
        path = services.objects.result_path(job_id, name)
        found = path.stat()
    media_type = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    return FileResponse(
        path, media_type=media_type, filename=name, headers=NO_SNIFFING, stat_result=found
    )


@contextmanager
def reading_result(job_id: str, services: ApiServices) -> Iterator[None]:
    """Around reading a result; one removed meanwhile is answered as one removed before.

    Raises:
        JobError: ``result_not_ready``, ``job_expired``, ``job_not_found``.
    """
    _check_succeeded(job_id, services)
    try:
        yield
    except FileNotFoundError as error:
        _check_succeeded(job_id, services)
        raise JobError(f"the result of job {job_id} was removed while it was read") from error


def _check_succeeded(job_id: str, services: ApiServices) -> None:
    job = find_job(job_id, services.jobs, services.objects)
    if job.state is JobState.EXPIRED:
        raise JobError(
            "the result was removed after its time; send the series again", code="job_expired"
        )
    if job.state is not JobState.SUCCEEDED:
        raise JobError(
            f"the job is {job.state} and has no result; "
            f"GET {job_links(job_id).self} tells its state and error",
            code="result_not_ready",
        )
