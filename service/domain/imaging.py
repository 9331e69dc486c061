"""What carries voxels: frozen, arrays read-only, ``[z, y, x]``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from service.domain.findings import (
    AnalysisReport,
    FemurGeometry,
    FemurReport,
    FemurSide,
    GeometryVerdict,
    QualityFlag,
    SeriesCandidate,
)
from service.domain.frozen import Vector
from service.domain.geometry import AxisOrder, Box, VolumeGeometry
from service.errors import GeometryError

BoolArray = npt.NDArray[np.bool_]
HuArray = npt.NDArray[np.int16 | np.float32]


class FemurRegion(IntEnum):
    """Values of ``regions.nii.gz``; 0 is below the distal plane, in a null region, or outside."""

    HEAD = 1
    NECK = 2
    TROCHANTER = 3
    INTERTROCHANTER = 4


COMBINATION = (FemurRegion.NECK, FemurRegion.TROCHANTER, FemurRegion.INTERTROCHANTER)
"""What the paper's Table 2 sums up beside the head; DXA's total hip."""
TOTAL = (FemurRegion.HEAD, *COMBINATION)


def _frozen(array: npt.NDArray[np.generic], geometry: VolumeGeometry, name: str) -> None:
    if array.shape != geometry.shape_zyx:
        raise GeometryError(f"{name} has shape {array.shape}, its geometry {geometry.shape_zyx}")
    array.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Member:
    """One file of an upload.

    Attributes:
        position: its place in the archive, from 1; messages name it, never the file name, since
            names may hold a patient's name.
        content: its bytes.
    """

    position: int
    content: bytes


@dataclass(frozen=True)
class StoredPixels:
    """How a file keeps the pixels of one slice, as its header says.

    Attributes:
        transfer_syntax_uid: (0002,0010).
        bits_allocated, bits_stored, is_signed: of a stored value (PS3.5 8.1.1).
        padding: Pixel Padding Value and, where given, its range limit; empty where there is none.
        begin: where the pixels' bytes, compressed or not, begin in the file.
        length: their number, 0 where pixels are absent or cut off; None where the place of a
            slice's pixels is found by parsing the whole file only.
    """

    transfer_syntax_uid: str = ""
    bits_allocated: int = 16
    bits_stored: int = 16
    is_signed: bool = True
    padding: tuple[int, ...] = ()
    begin: int = 0
    length: int | None = 0


@dataclass(frozen=True)
class CtSlice:
    """One slice of the chosen series, geometry read and checked, pixels not yet decoded.

    Attributes:
        member: the file it lies in.
        sop_instance_uid: SOP Instance UID (0008,0018).
        position_lps_mm: centre of the first voxel, Image Position (Patient) (0020,0032).
        rescale_slope, rescale_intercept: stored value to HU (PS3.3 C.11.1.1.2).
        frame: which frame of an enhanced multi-frame file, from 0; None for a file of one slice.
        pixels: how the file keeps them.
    """

    member: Member
    sop_instance_uid: str
    position_lps_mm: tuple[float, float, float]
    rescale_slope: float
    rescale_intercept: float
    frame: int | None = None
    pixels: StoredPixels = StoredPixels()


@dataclass(frozen=True, eq=False)
class CtSeries:
    """One validated CT series, its slices ordered along row x column.

    Attributes:
        series_instance_uid, study_instance_uid, frame_of_reference_uid: as in the files.
        slices: ascending along the normal (row x column).
        geometry: of the volume they make; sheared under gantry tilt.
        patient_position: (0018,5100), such as HFS; empty where absent.
        set_aside: number of members not used.
        slice_places: where each slice lies along the volume's z index; None where slice i lies at
            i. Only a series whose gaps are to be filled has places (``resample_gaps``).
        verdict: what was found about its geometry.
        candidates: every stack of CT slices in the upload, best first.
        flags: doubts about the series.
    """

    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    slices: tuple[CtSlice, ...]
    geometry: VolumeGeometry
    patient_position: str
    set_aside: int
    slice_places: tuple[float, ...] | None = None
    verdict: GeometryVerdict | None = None
    candidates: tuple[SeriesCandidate, ...] = ()
    flags: tuple[QualityFlag, ...] = ()


@dataclass(frozen=True, eq=False)
class CtVolume:
    """HU on a grid: int16, or float32 where rescaling is not whole-numbered."""

    hu: HuArray
    geometry: VolumeGeometry

    def __post_init__(self) -> None:
        _frozen(self.hu, self.geometry, "hu")


@dataclass(frozen=True)
class FieldOfViewCuts:
    """Where a femur's periosteal mask reaches the edge of the scan or of the field of view."""

    proximal: bool = False
    distal: bool = False
    in_plane: bool = False


@dataclass(frozen=True)
class FemurCrop:
    """Where one femur lies in a volume whose axes run to S, P, L.

    Attributes:
        side: left or right, by the patient.
        box: voxels of the volume that hold the femur in view, with a margin.
        bone_lps_mm: inside bone taken for the femur's, for which the box was laid; may be empty.
        pieces: of the shaft, upward, each as narrow as it, then all above; empty if not certain.
    """

    side: FemurSide
    box: Box
    bone_lps_mm: tuple[Vector, ...] = ()
    pieces: tuple[Box, ...] = ()


@dataclass(frozen=True, eq=False)
class CroppedVolume:
    """One femur on the networks' grid, a right one flipped in x so that it looks like a left one.

    Attributes:
        side: left or right, by the patient.
        hu: float32 ``[z, y, x]``.
        geometry: true to the patient, so a right femur's x axis points right.
        bone_lps_mm: see ``FemurCrop``.
        pieces: see ``FemurCrop``, here in voxels of ``hu``; neighbours may share a slice.
    """

    side: FemurSide
    hu: npt.NDArray[np.float32]
    geometry: VolumeGeometry
    bone_lps_mm: tuple[Vector, ...] = ()
    pieces: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        _frozen(self.hu, self.geometry, "hu")


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """Foreground probability in 0-1, float32 ``[z, y, x]``."""

    values: npt.NDArray[np.float32]
    geometry: VolumeGeometry

    def __post_init__(self) -> None:
        _frozen(self.values, self.geometry, "probabilities")


@dataclass(frozen=True, eq=False)
class FemurMasks:
    """Both surfaces of one femur as filled masks on voxels of the source.

    Attributes:
        side: left or right, by the patient.
        periosteal: bool ``[z, y, x]``, inside the outer bone surface.
        endosteal: bool, inside the cortex; a subset of ``periosteal``.
        geometry: of both, true to the patient.

    Raises:
        GeometryError: if the shapes differ, or an endosteal voxel lies outside the periosteal mask.
    """

    side: FemurSide
    periosteal: BoolArray
    endosteal: BoolArray
    geometry: VolumeGeometry

    def __post_init__(self) -> None:
        _frozen(self.periosteal, self.geometry, "periosteal mask")
        _frozen(self.endosteal, self.geometry, "endosteal mask")
        if (self.endosteal & ~self.periosteal).any():
            raise GeometryError("an endosteal voxel lies outside the periosteal mask")


@dataclass(frozen=True, eq=False)
class FemurRegions:
    """One femur divided by ``regions/v1``.

    Attributes:
        labels: uint8 ``[z, y, x]`` on the masks' grid, values of FemurRegion, 0 elsewhere.
        geometry: landmarks, axes and planes, in the patient's LPS mm.
        flags: what could not be found, and why.
    """

    labels: npt.NDArray[np.uint8]
    geometry: FemurGeometry
    flags: tuple[QualityFlag, ...]

    def __post_init__(self) -> None:
        self.labels.setflags(write=False)


@dataclass(frozen=True, eq=False)
class SurfaceThickness:
    """Cortical thickness all over the periosteal surface; faces cut by the scan are no surface.

    Attributes:
        points_lps_mm: float64 ``[n, 3]``, about one per face of a surface voxel.
        thickness_mm: float64 ``[n]``, NaN where no endosteal surface is near.
    """

    points_lps_mm: npt.NDArray[np.float64]
    thickness_mm: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FemurResult:
    """All that is known of one femur.

    Attributes:
        crop: where it lies in the turned volume.
        hu: the CT in the crop box, ``[z, y, x]``.
        masks: both surfaces in the crop box.
        labels: uint8, regions in the crop box.
        report: the numbers.
        thickness: what the report's thicknesses were taken from; None without an endosteal surface.
    """

    crop: FemurCrop
    hu: HuArray
    masks: FemurMasks
    labels: npt.NDArray[np.uint8]
    report: FemurReport
    thickness: SurfaceThickness | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """The outcome for one series.

    Attributes:
        report: ``report.json``.
        source_geometry: the CT's own grid, on which masks are delivered.
        axis_order: how the source was turned before cropping; its ``invert`` leads back.
        femurs: one per femur found, left first.
        series: what was read; DICOM results name its instances and keep its patient and study.
    """

    report: AnalysisReport
    source_geometry: VolumeGeometry
    axis_order: AxisOrder
    femurs: tuple[FemurResult, ...]
    series: CtSeries
