"""One odd CT series of the corpus in ``odd_series``, its files and what is true about it.

Each case says what is true about it: the volumes that a reader may return without lying, taken
from the numbers that the files were made from, and the refusal that ``read_series`` owes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.domain.imaging import Member
from tests.builders.ct_series import AXIAL, CtSeriesSpec, build_slices, ramp, to_members

FloatArray = npt.NDArray[np.float64]

OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
"""Rows and columns off all patient axes; unit and orthogonal to the last digit."""

FLIPPED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Rows run to the right, so the normal runs to inferior."""

ORIENTATIONS = {"axial": AXIAL, "oblique": OBLIQUE, "flipped": FLIPPED}

SHAPE = (6, 7, 8)
SPACING = (2.0, 0.5, 0.75)
ANY_HU = np.nan
"""In a truth: any HU is right here (padding)."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A volume that may be returned: where each slice lies and what HU it holds.

    Attributes:
        positions_mm: ``[n, 3]``, centres of the first pixels, LPS.
        rows_mm, columns_mm: ``(3,)``, from one pixel to the next along a row and down a column.
        hu: float64 ``[n, y, x]``.
    """

    positions_mm: FloatArray
    rows_mm: FloatArray
    columns_mm: FloatArray
    hu: FloatArray

    def points_mm(self) -> FloatArray:
        """LPS of every pixel, ``[n, y, x, 3]``."""
        _, height, width = self.hu.shape
        y, x = np.mgrid[:height, :width]
        in_plane = y[..., None] * self.columns_mm + x[..., None] * self.rows_mm
        points: FloatArray = self.positions_mm[:, None, None, :] + in_plane
        return points


@dataclass(frozen=True, eq=False)
class Built:
    """The files of a case and the volumes that they truly hold; none where no header says."""

    members: list[Member]
    truths: tuple[Truth, ...] = ()


Build = Callable[[CtSeriesSpec], Built]


@dataclass(frozen=True, eq=False)
class OddSeries:
    """One case.

    Attributes:
        rule: what is odd.
        orientation: key of ``ORIENTATIONS``.
        code: the refusal that is owed; None where the volume is.
        built: files and truth.
        resample_gaps, expected_instances: options of the request.
        tolerance_mm: how far the affine may be off: 0.01 unless positions are rounded.
    """

    rule: str
    orientation: str
    code: str | None
    built: Built
    resample_gaps: bool = False
    expected_instances: int | None = None
    tolerance_mm: float = 0.01

    def __str__(self) -> str:
        return f"{self.rule}, {self.orientation}"


@dataclass(frozen=True, eq=False)
class Rule:
    """A case before its orientation is chosen; see OddSeries."""

    name: str
    build: Build
    code: str | None = None
    resample_gaps: bool = False
    expected_instances: int | None = None
    tolerance_mm: float = 0.01


def spec_of(orientation: str) -> CtSeriesSpec:
    """The series that every case is a variation of."""
    return CtSeriesSpec(
        stored=ramp(SHAPE), orientation=ORIENTATIONS[orientation], spacing_zyx_mm=SPACING
    )


def truth_of(
    spec: CtSeriesSpec,
    *,
    positions_mm: Sequence[Sequence[float]] | None = None,
    hu: npt.NDArray[np.generic] | None = None,
) -> Truth:
    """What a specification says, with other positions or HU where given."""
    _, column_mm, row_mm = spec.spacing_zyx_mm
    steps = np.arange(len(spec.stored))[:, None] * spec.spacing_zyx_mm[0] * spec.normal
    own_hu = spec.stored.astype(np.float64) * spec.slope + spec.intercept
    return Truth(
        np.asarray(spec.origin_lps_mm) + steps if positions_mm is None else np.array(positions_mm),
        np.array(spec.orientation[:3]) * row_mm,
        np.array(spec.orientation[3:]) * column_mm,
        own_hu if hu is None else np.asarray(hu, np.float64),
    )


def positions_of(slices: Sequence[Dataset]) -> list[list[float]]:
    """As the headers say."""
    return [[float(v) for v in ds.ImagePositionPatient] for ds in slices]


def changed(change: Callable[[list[Dataset]], object], *, truth: bool = True) -> Build:
    """The plain series after ``change``; its truth is the plain one, or there is none."""

    def build(spec: CtSeriesSpec) -> Built:
        slices = build_slices(spec)
        change(slices)
        return Built(to_members(slices), (truth_of(spec),) if truth else ())

    return build


def moved(move: Callable[[list[Dataset], FloatArray, FloatArray], object]) -> Build:
    """The series after ``move(slices, normal, down a column)``: slices lie where headers say."""

    def build(spec: CtSeriesSpec) -> Built:
        slices = build_slices(spec)
        move(slices, spec.normal, np.array(spec.orientation[3:]))
        by_number = sorted(slices, key=lambda ds: int(str(ds.SOPInstanceUID).rsplit(".", 1)[1]))
        kept = [int(str(ds.SOPInstanceUID).rsplit(".", 1)[1]) - 1 for ds in by_number]
        truth = truth_of(spec, positions_mm=positions_of(by_number))
        return Built(to_members(slices), (replace(truth, hu=truth.hu[kept]),))

    return build
