"""Every error femurct raises on purpose.

    FemurctError                       code, sentence: found, required, what to do
    +-- InputError                     the series or the upload cannot be used (exit code 2)
    |   +-- ArchiveError               not_a_zip, empty_archive, archive_too_large, ...
    |   +-- SeriesError                no_dicom, no_ct_series, several_patients, missing_tag, ...
    |   +-- AnatomyError               no_proximal_femur
    +-- GeometryError                  a grid or box that cannot exist
    +-- ModelError                     an ONNX file that breaks its contract
    +-- ArtifactError                  segmentation_mismatch: a file written is not what was meant
    +-- JobError                       job_not_found, job_state, ...
    |   +-- JobCancelled               cancelled between two windows
    +-- ServiceError                   the service cannot be reached or refuses (exit code 3)

``code`` is stable and part of the API; ``str(error)`` is the sentence. No message carries a patient
identifier: members of an upload are named by their position, never by file name.
"""

from __future__ import annotations

from typing import ClassVar


class FemurctError(Exception):
    """Base of the tree.

    Args:
        detail: one sentence: what was found, what was needed, what to do.
        code: stable snake_case identifier; the class's own when omitted.
    """

    code = "internal_error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class InputError(FemurctError):
    """What was sent cannot be used.

    Attributes:
        codes: every code the class is raised with, so that who reads a code knows whom it blames.
    """

    code = "unusable_input"
    codes: ClassVar[frozenset[str]] = frozenset({"unusable_input"})


class ArchiveError(InputError):
    """The upload is not an archive within the limits."""

    code = "not_a_zip"
    codes = frozenset(
        {
            "archive_ratio_too_high",
            "archive_too_large",
            "archive_unpacks_too_large",
            "corrupt_archive",
            "empty_archive",
            "encrypted_archive",
            "member_too_large",
            "nested_archive",
            "not_a_zip",
            "too_many_members",
            "truncated_archive",
            "unsupported_compression",
        }
    )


class SeriesError(InputError):
    """The archive holds no CT series that makes a volume."""

    code = "unusable_series"
    codes = frozenset(
        {
            "corrupt_dicom",
            "duplicate_instance",
            "duplicate_position",
            "gantry_tilt",
            "instance_count_mismatch",
            "invalid_tag",
            "missing_tag",
            "mixed_orientation",
            "mixed_pixel_spacing",
            "no_ct_series",
            "no_dicom",
            "series_not_found",
            "several_patients",
            "slices_too_thick",
            "too_few_slices",
            "truncated_pixel_data",
            "unaligned_slices",
            "undecodable_pixel_data",
            "uneven_spacing",
            "unusable_series",
            "volume_too_large",
        }
    )


class AnatomyError(InputError):
    """The CT is readable, and what is to be measured is not in it."""

    code = "no_proximal_femur"
    codes = frozenset({"no_proximal_femur"})


INPUT_CODES = InputError.codes | ArchiveError.codes | SeriesError.codes | AnatomyError.codes
"""Codes that blame what was sent, not who worked on it."""


class GeometryError(FemurctError):
    """A grid or a box that cannot exist."""

    code = "invalid_geometry"


class ModelError(FemurctError):
    """A network file that is missing or breaks its contract."""

    code = "model_unusable"


class ArtifactError(FemurctError):
    """A result file that, read back, is not what was to be written."""

    code = "segmentation_mismatch"


class JobError(FemurctError):
    """A job that does not exist or is not in the state the call needs."""

    code = "job_not_found"


class JobCancelled(JobError):
    """The job was cancelled while it ran."""

    code = "cancelled"


class ServiceError(FemurctError):
    """The service cannot be reached, or refuses."""

    code = "service_unavailable"
