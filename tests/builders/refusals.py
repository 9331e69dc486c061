"""The refusal of an upload, checked to name no patient."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from service.domain.imaging import Member
from service.errors import SeriesError
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.ct_series import PATIENT, PATIENT_ID


def refusal(members: Sequence[Member], series_instance_uid: str | None = None) -> SeriesError:
    """What reading these files as a volume raises."""
    with pytest.raises(SeriesError) as caught:
        read_volume(read_series(members, series_instance_uid=series_instance_uid))
    assert PATIENT.split("^")[0] not in str(caught.value)
    assert PATIENT_ID not in str(caught.value)
    return caught.value
