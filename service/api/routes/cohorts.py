"""Several jobs' reports as one CSV."""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from service.api.auth import authenticate
from service.api.dependencies import Services
from service.api.routes.jobs import problems
from service.api.routes.results import NO_SNIFFING, REPORT_NAME, reading_result
from service.artifacts.cohort_table import write_table
from service.domain.findings import AnalysisReport

MOST_JOBS = 1000
"""In one table: their names fill 40 kB of the address, of 64 kB that the server reads."""

router = APIRouter(prefix="/v1", tags=["results"], dependencies=[Depends(authenticate)])


@router.get(
    "/table.csv",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "the table"},
        **problems(401, 403, 404, 409, 410, 422, 503),
    },
)
def get_table(
    services: Services,
    job: Annotated[
        list[str],
        Query(min_length=1, max_length=MOST_JOBS, description="a job that succeeded; repeat it"),
    ],
) -> Response:
    """A row per femur of these jobs, a column per number, as `femurct table` writes it."""
    results = []
    for job_id in job:
        with reading_result(job_id, services):
            text = services.objects.result_path(job_id, REPORT_NAME).read_bytes()
        # a result may be older or newer than this process
        results.append((job_id, AnalysisReport.model_validate_json(text, extra="ignore")))
    file = io.StringIO(newline="")
    write_table(results, file)
    return Response(file.getvalue(), media_type="text/csv; charset=utf-8", headers=NO_SNIFFING)
