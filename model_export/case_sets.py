"""Which case files a run trains on and which it validates with; what their names say.

A case file is ``<subject>_left.npz`` or ``<subject>_right.npz``; a name without a side is a subject
of one femur, taken for a left one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model_export.annotated_series import VALIDATION_SERIES
from model_export.cases import CaseError
from model_export.config import TrainingConfig

LEFT_SUFFIX, RIGHT_SUFFIX = "_left", "_right"


@dataclass(frozen=True)
class CaseSets:
    """Case files of a run; ``validation`` may be empty.

    Raises:
        CaseError: if a subject is in both, or one of ``VALIDATION_SERIES`` is to be trained on.
    """

    train: tuple[Path, ...]
    validation: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        trained_on = {subject_of(case) for case in self.train}
        if both := sorted(trained_on & {subject_of(case) for case in self.validation}):
            raise CaseError(
                f"{', '.join(both)}: to train on and to validate with; both femurs of a subject "
                "belong in the same set"
            )
        if reserved := sorted(trained_on & set(VALIDATION_SERIES)):
            raise CaseError(
                f"{', '.join(reserved)} is reserved for validation; "
                "take it out of the cases to train on"
            )

    @property
    def names_sha256(self) -> str:
        """Hexadecimal digest of the cases' names, which may be patients', and of their order."""
        names = [[case.stem for case in cases] for cases in (self.train, self.validation)]
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()

    @classmethod
    def of_folder(cls, folder: Path) -> CaseSets:
        """``folder/train`` and ``folder/validation``; without them, all files to train on."""
        if (folder / "train").is_dir():
            return cls(case_files(folder / "train"), case_files(folder / "validation"))
        return cls(case_files(folder))


def case_files(folder: Path) -> tuple[Path, ...]:
    """The folder's case files in order of name; none where it does not exist."""
    return tuple(sorted(folder.glob("*.npz")))


def is_right(case: Path) -> bool:
    """Whether the file holds a right femur, mirrored."""
    return case.stem.endswith(RIGHT_SUFFIX)


def used_by(config: TrainingConfig, cases: Iterable[Path]) -> tuple[Path, ...]:
    """The cases without right femurs, where the configuration takes none."""
    return tuple(case for case in cases if config.right_femurs or not is_right(case))


def subject_of(case: Path) -> str:
    """The person (or phantom): both femurs of one belong on the same side of a split."""
    return case.stem.removesuffix(LEFT_SUFFIX).removesuffix(RIGHT_SUFFIX)
