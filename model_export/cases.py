"""Training cases: one femur each, as a left one, on the networks' grid, in one ``.npz`` file."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.npyio import NpzFile
from scipy import ndimage

from service.domain.geometry import CONTRACT_SPACING_MM, SpacingMm
from service.errors import InputError

Kind = Literal["proximal", "shaft", "phantom"]
"""Where a case comes from: a real series with or without the proximal end, or a phantom."""

TRUST_NONE, TRUST_PERIOSTEAL, TRUST_BOTH = 0, 1, 2
"""Values of a trust map: use neither label, the periosteal one only, both."""

SURFACE_POINTS = 4000
"""Surface voxels kept per case as places to put a patch."""

FloatArray = npt.NDArray[np.float32]
Uint8Array = npt.NDArray[np.uint8]


class CaseError(InputError):
    """A training case that cannot be used; the message names it."""

    code = "unusable_case"


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """One femur with its reference, all arrays ``[z, y, x]`` at 1.0 x 0.8 x 0.8 mm.

    Attributes:
        name: of the series or phantom.
        kind: see ``Kind``.
        hu: int16; a right femur is flipped in x.
        periosteal: uint8, 1 inside the outer surface.
        endosteal: uint8, 1 inside the cortex, a subset of ``periosteal``.
        trust: uint8, see ``TRUST_BOTH``.
        surface: int16 ``[n, 3]``, indices (z, y, x) of voxels at the periosteal surface.

    Raises:
        CaseError: if grids differ, the periosteal or a trusted endosteal mask is empty, or the
            endosteal mask leaves the periosteal one.
    """

    name: str
    kind: Kind
    hu: npt.NDArray[np.int16]
    periosteal: Uint8Array
    endosteal: Uint8Array
    trust: Uint8Array
    surface: npt.NDArray[np.int16]

    def __post_init__(self) -> None:
        shapes = {a.shape for a in (self.hu, self.periosteal, self.endosteal, self.trust)}
        if len(shapes) != 1 or self.hu.ndim != 3:
            raise CaseError(f"case {self.name}: CT, masks and trust have different grids: {shapes}")
        if not self.periosteal.any() or len(self.surface) == 0:
            raise CaseError(f"case {self.name}: the periosteal mask is empty")
        if not self.endosteal.any() and ((self.trust == TRUST_BOTH) & (self.periosteal > 0)).any():
            raise CaseError(f"case {self.name}: the endosteal mask is empty, yet trusted")
        if (self.endosteal > self.periosteal).any():
            raise CaseError(f"case {self.name}: the endosteal mask leaves the periosteal mask")

    def save(self, folder: Path) -> Path:
        """Writes ``folder/<name>.npz`` (uncompressed, to be read fast), in place when whole."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.npz"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                kind=np.array(self.kind),
                hu=self.hu,
                periosteal=self.periosteal,
                endosteal=self.endosteal,
                trust=self.trust,
                surface=self.surface,
            )
        os.replace(partial, path)
        return path


UNREADABLE = (zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError)
"""What reading a missing, torn or foreign file raises."""


@contextmanager
def open_case(path: Path) -> Iterator[NpzFile]:
    """A case file's arrays, each read when asked for.

    Raises:
        CaseError: naming the file, also while an array is read, if it is none of ours or torn.
    """
    try:
        # opened here, since np.load leaves a file that is no zip open
        with path.open("rb") as file, np.load(file) as arrays:
            yield arrays
    except UNREADABLE as error:
        raise CaseError(f"{path} is no readable case ({error}); write it anew") from error


def load_case(path: Path) -> TrainingCase:
    """A case as written by ``TrainingCase.save``.

    Raises:
        CaseError: see ``open_case`` and ``TrainingCase``.
    """
    with open_case(path) as arrays:
        kind: Kind = arrays["kind"].item()
        return TrainingCase(
            name=path.stem,
            kind=kind,
            hu=arrays["hu"],
            periosteal=arrays["periosteal"],
            endosteal=arrays["endosteal"],
            trust=arrays["trust"],
            surface=arrays["surface"],
        )


@dataclass(frozen=True, eq=False)
class SourceCase:
    """A femur with its reference on its own axial grid, axes x to the left, y posterior, z up.

    Attributes:
        name: of the series or phantom.
        kind: see ``Kind``.
        right: whether it is a right femur.
        spacing_mm: of the grid.
        hu: float32 ``[z, y, x]``; the masks and trust have its shape.
        periosteal, endosteal: bool.
        trust: uint8.
    """

    name: str
    kind: Kind
    right: bool
    spacing_mm: SpacingMm
    hu: FloatArray
    periosteal: npt.NDArray[np.bool_]
    endosteal: npt.NDArray[np.bool_]
    trust: Uint8Array


def resample(array: npt.NDArray[np.generic], spacing_mm: SpacingMm, order: int) -> FloatArray:
    """``array`` at the networks' spacing; the first voxels' centres coincide.

    Args:
        array: any number type ``[z, y, x]``.
        spacing_mm: of ``array``.
        order: 1 for linear, 0 for nearest.

    Returns:
        float32 ``[z, y, x]``, as long as it lies between the first and the last voxel centre.
    """
    step = np.array(CONTRACT_SPACING_MM) / np.array(spacing_mm)
    shape = np.floor((np.array(array.shape) - 1) / step + 1e-6).astype(int) + 1
    resampled: FloatArray = ndimage.affine_transform(
        array.astype(np.float32), step, output_shape=tuple(shape), order=order, mode="nearest"
    )
    return resampled


def resample_mask(mask: npt.NDArray[np.bool_], spacing_mm: SpacingMm) -> Uint8Array:
    """A mask at the networks' spacing by its signed distance (shape-based interpolation).

    Interpolating the mask itself leaves steps as high as a slice is thick where the surface slopes;
    the distance runs smoothly between slices (Raya and Udupa, IEEE TMI 1990).
    """
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return (resample(inside - outside, spacing_mm, order=1) > 0).astype(np.uint8)


def to_training_case(source: SourceCase) -> TrainingCase:
    """``source`` resampled to the networks' grid and, for a right femur, flipped in x.

    Raises:
        CaseError: see ``TrainingCase``.
    """
    if not source.periosteal.any():
        raise CaseError(f"case {source.name}: the periosteal mask is empty")
    periosteal = resample_mask(source.periosteal, source.spacing_mm)
    endosteal = resample_mask(source.endosteal, source.spacing_mm) & periosteal
    hu = np.clip(np.rint(resample(source.hu, source.spacing_mm, order=1)), -32768, 32767)
    trust = resample(source.trust, source.spacing_mm, order=0)
    return oriented_case(
        source.name,
        source.kind,
        source.right,
        hu.astype(np.int16),
        (periosteal, endosteal, trust.astype(np.uint8)),
    )


def oriented_case(
    name: str,
    kind: Kind,
    right: bool,
    hu: npt.NDArray[np.int16],
    labels: tuple[Uint8Array, Uint8Array, Uint8Array],
) -> TrainingCase:
    """A case of arrays on the networks' grid; ``labels``: periosteal, endosteal, trust."""
    step = -1 if right else 1
    periosteal, endosteal, trust = (np.ascontiguousarray(a[:, :, ::step]) for a in labels)
    return TrainingCase(
        name=name,
        kind=kind,
        hu=np.ascontiguousarray(hu[:, :, ::step]),
        periosteal=periosteal,
        endosteal=endosteal,
        trust=trust,
        surface=_surface_points(periosteal),
    )


def _surface_points(mask: Uint8Array) -> npt.NDArray[np.int16]:
    """Up to ``SURFACE_POINTS`` voxels of the mask next to its outside, evenly picked."""
    inside = mask.astype(bool)
    points = np.argwhere(inside & ~ndimage.binary_erosion(inside, border_value=1))
    return points[:: max(1, len(points) // SURFACE_POINTS)].astype(np.int16)
