"""A folder of a hospital's own annotated femurs as source cases.

    cases/
      anna_left/             subject and side; or anna/ with side.txt holding "left" or "right"
        ct.nii.gz            or ct.nii, ct.zip of DICOM files, ct/ of DICOM files
        periosteal.nii.gz    0 outside, any one other value inside the outer surface
        endosteal.nii.gz     the same for the inside of the cortex
        trust.nii.gz         optional: 0 use neither label here, 1 the periosteal one, 2 both

Axes may run in any order and direction: everything is turned by its affine, without resampling, so
that z runs to superior, y to posterior and x to the left. Nothing is repaired.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

from model_export.annotated_series import femur_box, read_archive
from model_export.case_sets import LEFT_SUFFIX, RIGHT_SUFFIX
from model_export.cases import TRUST_BOTH, CaseError, SourceCase
from service.domain.geometry import LPS_TO_RAS, AxisOrder, VolumeGeometry
from service.domain.imaging import CtVolume, Member
from service.errors import FemurctError
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume

CT_NAMES = ("ct.nii.gz", "ct.nii", "ct.zip", "ct")
SIDE_NAME = "side.txt"

SAME_PLACE_MM = 0.1
"""Corners of a mask's grid may lie this far from the CT's: headers round."""

LARGEST_SHEAR = 2e-3
"""Largest cosine between two voxel axes: 0.1 degrees off a right angle, as for DICOM."""

LEAST_BONE_HU = 150.0
"""Cancellous bone of the young exceeds it, and so does any cortex."""


def user_case_folders(folder: Path) -> tuple[Path, ...]:
    """The folders of single cases, in order of name.

    Raises:
        CaseError: if there is none.
    """
    if not folder.is_dir():
        raise CaseError(f"there is no folder {folder}")
    found = tuple(sorted(path for path in folder.iterdir() if path.is_dir()))
    if not found:
        raise CaseError(f"{folder} holds no folder; each case is one")
    return found


def user_case(folder: Path) -> SourceCase:
    """One case, cropped to its femur and a margin.

    Args:
        folder: as drawn at the top.

    Raises:
        CaseError: naming the case, for a missing or unreadable file, an unknown side, grids that
            differ or are sheared, CT values that are no HU, an empty mask, a mask of several labels
            or an endosteal mask that leaves the periosteal one.
    """
    try:
        return _read(folder)
    except CaseError as error:
        raise CaseError(f"case {folder.name}: {error.detail}") from error
    except (FemurctError, OSError) as error:
        reason = error.detail if isinstance(error, FemurctError) else f"unreadable file ({error})"
        raise CaseError(f"case {folder.name}: {reason}") from error


def _read(folder: Path) -> SourceCase:
    subject, side = _subject_and_side(folder)
    volume = _read_ct(folder)
    _require_hu(volume.hu)
    order = AxisOrder.closest_to_spl(volume.geometry)
    grid = order.apply_geometry(volume.geometry)
    periosteal = _read_mask(folder / "periosteal.nii.gz", grid)
    endosteal = _read_mask(folder / "endosteal.nii.gz", grid)
    outside = int((endosteal & ~periosteal).sum())
    if outside:
        raise CaseError(f"{outside} voxels of the endosteal mask lie outside the periosteal mask")
    trust_path = folder / "trust.nii.gz"
    if trust_path.exists():
        trust = _read_labels(trust_path, grid)
        if not np.isin(trust, range(TRUST_BOTH + 1)).all():
            raise CaseError(f"{trust_path.name} holds values other than 0, 1 and 2")
    else:
        trust = np.full(grid.shape_zyx, TRUST_BOTH)
    box = femur_box(periosteal, grid.spacing_mm)
    return SourceCase(
        name=f"{subject}_{side}",
        kind="proximal",
        right=side == "right",
        spacing_mm=grid.spacing_mm,
        hu=order.apply(volume.hu)[box].astype(np.float32),
        periosteal=periosteal[box],
        endosteal=endosteal[box],
        trust=trust[box].astype(np.uint8),
    )


def _require_hu(values: npt.NDArray[np.generic]) -> None:
    """Raises CaseError for values that are no numbers, or cannot be HU of fat and bone."""
    if not np.isfinite(values).all():
        raise CaseError("the CT holds values that are no numbers; every voxel needs its HU")
    low, high = float(values.min()), float(values.max())
    if low >= 0:
        raise CaseError("the CT has no value below 0; HU are needed, in which fat is about -100")
    if high < LEAST_BONE_HU:
        raise CaseError(
            f"the CT's values reach from {low:g} to {high:g}; HU are needed, in which the cortex "
            f"of a femur exceeds {LEAST_BONE_HU:g}"
        )


def _subject_and_side(folder: Path) -> tuple[str, str]:
    path = folder / SIDE_NAME
    for suffix in (LEFT_SUFFIX, RIGHT_SUFFIX):
        if folder.name.endswith(suffix) and not path.exists():
            return folder.name.removesuffix(suffix), suffix[1:]
    side = ""
    if path.exists():
        side = path.read_text(encoding="utf-8", errors="replace").strip().lower()
    if side not in ("left", "right"):
        raise CaseError(
            f"its side is unknown; name the folder ..{LEFT_SUFFIX} or ..{RIGHT_SUFFIX}, or write "
            f"left or right into {SIDE_NAME}"
        )
    subject = folder.name.removesuffix(f"_{side}")
    if subject.endswith((LEFT_SUFFIX, RIGHT_SUFFIX)):
        raise CaseError(f"its name and {SIDE_NAME} ({side}) name different sides; correct one")
    return subject, side


def _read_ct(folder: Path) -> CtVolume:
    found = [folder / name for name in CT_NAMES if (folder / name).exists()]
    if len(found) != 1:
        raise CaseError(f"found {len(found)} CTs, needed one of {', '.join(CT_NAMES)}")
    path = found[0]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        members = (Member(i, file.read_bytes()) for i, file in enumerate(files, start=1))
        return read_volume(read_series(members))
    if path.suffix == ".zip":
        return read_archive(path)
    values, geometry = _read_nifti(path)
    return CtVolume(values.astype(np.float32), geometry)


def _read_mask(path: Path, grid: VolumeGeometry) -> npt.NDArray[np.bool_]:
    labels = _read_labels(path, grid)
    found = np.unique(labels)
    if not found.any():
        raise CaseError(f"{path.name} is empty")
    if len(found[found != 0]) > 1:
        raise CaseError(f"{path.name} holds {len(found[found != 0])} labels, needed one")
    return np.asarray(labels != 0)


def _read_labels(path: Path, grid: VolumeGeometry) -> npt.NDArray[np.generic]:
    """Labels ``[z, y, x]`` turned like the CT, whose turned grid they must lie on."""
    if not path.exists():
        raise CaseError(f"{path.name} is missing")
    labels, geometry = _read_nifti(path)
    order = AxisOrder.closest_to_spl(geometry)
    turned = order.apply_geometry(geometry)
    if turned.shape_zyx != grid.shape_zyx:
        raise CaseError(
            f"{path.name} and the CT have different grids: "
            f"{turned.shape_zyx} and {grid.shape_zyx} voxels (z, y, x)"
        )
    corners = np.array([(0, 0, 0), *np.diag(np.array(grid.shape_zyx) - 1)])
    offset = np.abs(turned.index_to_lps(corners) - grid.index_to_lps(corners)).max()
    if offset > SAME_PLACE_MM:
        raise CaseError(
            f"{path.name} and the CT have different grids: they lie {offset:.1f} mm apart"
        )
    return order.apply(labels)


def _read_nifti(path: Path) -> tuple[npt.NDArray[np.generic], VolumeGeometry]:
    """Values ``[z, y, x]`` and their grid, in the file's own order of axes."""
    try:
        image: nib.Nifti1Image = nib.Nifti1Image.from_filename(path)
        stored = np.asarray(image.dataobj)
    except Exception as error:  # nibabel's errors of a broken file share no base class
        raise CaseError(f"unreadable file {path.name} ({error})") from error
    if stored.ndim != 3:
        raise CaseError(f"{path.name} has {stored.ndim} dimensions, needed 3")
    if stored.dtype.kind not in "iuf":
        raise CaseError(f"{path.name} holds {stored.dtype} values, needed one number per voxel")
    values = stored.transpose(2, 1, 0)
    # LPS_TO_RAS is its own inverse
    geometry = VolumeGeometry(values.shape, LPS_TO_RAS @ image.affine)
    axes = geometry.affine_lps[:3, :3] / np.linalg.norm(geometry.affine_lps[:3, :3], axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > LARGEST_SHEAR:
        raise CaseError(f"{path.name} is sheared (gantry tilt); an untilted stack is needed")
    return values, geometry


def sources_in(folder: Path) -> Iterator[SourceCase | CaseError]:
    """Every case of a folder, or why it is refused, in order of name.

    A case is refused, too, where an earlier folder has the same subject and side.

    Raises:
        CaseError: if the folder holds none.
    """
    seen: dict[str, str] = {}
    for path in user_case_folders(folder):
        try:
            case = user_case(path)
        except CaseError as error:
            yield error
            continue
        first = seen.setdefault(case.name, path.name)
        if first == path.name:
            yield case
        else:
            yield CaseError(f"case {path.name}: {first} is {case.name} already; rename one")
