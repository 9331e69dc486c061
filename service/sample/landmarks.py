"""Landmarks, axes and planes of `regions/v1` (DESIGN.md section 3), found in the closed-form femur.

Nothing here sees a voxel mask: sections are integrated through the field itself, head centre and
radius are known, and the lesser trochanter is searched for around its known cone. All in the femur
frame, mm.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.errors import GeometryError
from service.sample.distance_fields import Points
from service.sample.femur import FemurAnatomy

Array = npt.NDArray[np.float64]

SECTION_STEP_MM = 0.6
"""Lattice step within a section; with the coverage of border cells, areas are good to 0.1 %."""

SECTION_HALF_WIDTH_MM = 62.0
"""Half the side of a section's window: holds a trochanteric section of the largest femur."""

SHAFT_SECTIONS_MM = (10.0, 60.0)
"""Part of the shaft that gives its axis, distal to the lesser trochanter (regions/v1)."""

NECK_SEARCH_RADII = (0.7, 2.6)
"""Where the smallest neck section is sought, head radii from the head centre (regions/v1)."""

NECK_END_AREA_RATIO = 1.5
"""The neck ends where its section exceeds this times the smallest one (regions/v1)."""

NECK_END_RADII = 3.5
"""The neck must end before here, head radii from the head centre (regions/v1)."""

DISTAL_BELOW_LESSER_MM = 25.0
"""Distance of the distal plane below the lesser trochanter (regions/v1)."""

JOIN_AREA_RATIO = 0.08
"""A leap of the section's area above this share of the smallest one is a joining of two pieces."""

AXIS_TOLERANCE_DEG = 0.02
AXIS_ROUNDS = 30


class Section(NamedTuple):
    """The piece of a section that holds the plane's point; area 0 there if none does."""

    area_mm2: float
    centroid: Array


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Where `regions/v1` cuts, femur frame, mm; vectors of 3 float64.

    Attributes:
        head_centre, head_radius_mm: the head sphere.
        neck_centre: centroid O of the smallest neck section.
        neck_axis: unit N, from the head laterally.
        neck_radius_mm: equivalent radius of the smallest section.
        shaft_point, shaft_axis: a point on S and its unit direction, proximally.
        lesser_trochanter: its most prominent point.
        neck_start_mm, neck_end_mm: head|neck and neck|trochanter planes, mm along N from the head
            centre.
        neck_end_rule: what placed the neck|trochanter plane.
    """

    head_centre: Array
    head_radius_mm: float
    neck_centre: Array
    neck_axis: Array
    neck_radius_mm: float
    shaft_point: Array
    shaft_axis: Array
    lesser_trochanter: Array
    neck_start_mm: float
    neck_end_mm: float
    neck_end_rule: Literal["area", "join"]

    @property
    def upward(self) -> Array:
        """Unit normal of the trochanter|intertrochanter plane, towards the trochanter."""
        along = float(self.shaft_axis @ self.neck_axis)
        return _unit(self.shaft_axis - along * self.neck_axis)

    @property
    def distal_point(self) -> Array:
        """A point of the distal plane: on S, 25 mm distal to the lesser trochanter."""
        height = float((self.lesser_trochanter - self.shaft_point) @ self.shaft_axis)
        return self.shaft_point + (height - DISTAL_BELOW_LESSER_MM) * self.shaft_axis


def find_landmarks(femur: FemurAnatomy) -> Landmarks:
    """Find all landmarks of a femur.

    Raises:
        GeometryError: if the neck never widens to its end; no drawn femur does that.
    """
    shaft_point, shaft_axis, lesser = _shaft(femur)
    head = np.array(femur.head_centre)
    axis, distance, narrowest = _neck(femur, head, shaft_point, shaft_axis)
    neck_radius = float(np.sqrt(narrowest.area_mm2 / np.pi))
    radius = femur.head_radius_mm
    end, rule = _neck_end(femur, head, axis, (distance, narrowest.area_mm2))
    return Landmarks(
        head_centre=head,
        head_radius_mm=radius,
        neck_centre=narrowest.centroid,
        neck_axis=axis,
        neck_radius_mm=neck_radius,
        shaft_point=shaft_point,
        shaft_axis=shaft_axis,
        lesser_trochanter=lesser,
        neck_start_mm=max(float(np.sqrt(max(radius**2 - neck_radius**2, 0))), 0.6 * radius),
        neck_end_mm=end,
        neck_end_rule=rule,
    )


def section(femur: FemurAnatomy, point: Array, normal: Array) -> Section:
    """Cut the femur by a plane and measure the piece that holds `point`."""
    first = _unit(np.cross(normal, (0.0, 1.0, 0.3)))
    second = np.cross(normal, first)
    ticks = np.arange(-SECTION_HALF_WIDTH_MM, SECTION_HALF_WIDTH_MM + 1e-6, SECTION_STEP_MM)
    u, v = np.meshgrid(ticks, ticks, indexing="ij")
    cells = point + u[..., None] * first + v[..., None] * second
    # Blocks whose corner is farther out than their diagonal is long are left at 8 mm.
    corner = femur.periosteal_field(Points.of(cells[::8, ::8]))
    near = np.repeat(np.repeat(corner, 8, axis=0), 8, axis=1)[: len(ticks), : len(ticks)] < 8
    distance = np.full(near.shape, 8, np.float32)
    distance[near] = femur.periosteal_field(Points.of(cells[near]))
    labels, _ = ndimage.label(distance <= 0)
    middle = len(ticks) // 2
    own = labels[middle, middle]
    if own == 0:
        return Section(0.0, point)
    piece = ndimage.binary_dilation(labels == own) & ((labels == own) | (labels == 0))
    weight = np.clip(0.5 - distance / SECTION_STEP_MM, 0, 1) * piece
    area = float(weight.sum(dtype=np.float64))
    centroid = (weight[..., None] * cells).sum(axis=(0, 1)) / area
    return Section(area * SECTION_STEP_MM**2, centroid)


def _unit(vector: Array) -> Array:
    scaled: Array = vector / np.linalg.norm(vector)
    return scaled


def _shaft(femur: FemurAnatomy) -> tuple[Array, Array, Array]:
    """Fit the shaft axis and find the lesser trochanter, each from the other, until both rest."""
    point, axis = np.zeros(3), np.array([0.0, 0.0, 1.0])
    lesser = _lesser_trochanter(femur, point, axis)
    for _ in range(4):
        height = float((lesser - point) @ axis)
        depths = np.arange(SHAFT_SECTIONS_MM[0], SHAFT_SECTIONS_MM[1] + 1e-6, 5.0)
        centroids = np.array(
            [section(femur, point + (height - depth) * axis, axis).centroid for depth in depths]
        )
        point = centroids.mean(axis=0)
        direction = np.linalg.svd(centroids - point)[2][0]
        axis = direction if direction @ axis > 0 else -direction
        lesser = _lesser_trochanter(femur, point, axis)
    return point, axis, lesser


def _lesser_trochanter(femur: FemurAnatomy, point: Array, axis: Array) -> Array:
    """Surface point of the lesser trochanter farthest from the shaft axis.

    Searched around the tip of its cone, within 12 mm along the shaft and 30 degrees around it.
    """
    s = femur.scale
    reach = femur.shape.lesser_reach_mm / np.sqrt(2)
    tip = np.array([-reach, reach, 0.0])
    height = float((tip - point) @ axis)
    outward = _unit(tip - point - height * axis)
    aside = np.cross(axis, outward)
    heights = height + np.arange(-12, 12.1, 0.4) * s
    angles = np.radians(np.arange(-30, 30.1, 1.5))
    radii = np.arange(12, 40, 0.25)
    directions = np.cos(angles)[:, None] * outward + np.sin(angles)[:, None] * aside
    cells = (
        point
        + heights[:, None, None, None] * axis
        + radii[None, None, :, None] * directions[None, :, None, :]
    )
    distance = femur.periosteal_field(Points.of(cells))
    # The first crossing outwards, refined linearly between two radii.
    crossing = np.argmax(distance > 0, axis=2)
    outside = np.take_along_axis(distance, crossing[..., None], 2)[..., 0]
    inside = np.take_along_axis(distance, crossing[..., None] - 1, 2)[..., 0]
    surface = radii[crossing] - 0.25 * outside / (outside - inside)
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    found: Array = point + heights[row] * axis + surface[row, column] * directions[column]
    return found


def _neck(
    femur: FemurAnatomy, head: Array, shaft_point: Array, shaft_axis: Array
) -> tuple[Array, float, Section]:
    """Find N, the distance of the smallest section from the head centre, and that section."""
    to_shaft = shaft_point - head
    to_shaft = _unit(to_shaft - float(to_shaft @ shaft_axis) * shaft_axis)
    axis = _unit(to_shaft - shaft_axis)
    low, high = (share * femur.head_radius_mm for share in NECK_SEARCH_RADII)
    for _ in range(AXIS_ROUNDS):
        distance = _smallest(femur, head, axis, np.arange(low, high, 1.0))
        narrowest = section(femur, head + distance * axis, axis)
        turned = _unit(narrowest.centroid - head)
        angle = np.degrees(np.arccos(np.clip(turned @ axis, -1, 1)))
        axis = turned
        if angle < AXIS_TOLERANCE_DEG:
            break
    return axis, distance, narrowest


def _smallest(femur: FemurAnatomy, head: Array, axis: Array, distances: Array) -> float:
    areas = np.array([section(femur, head + d * axis, axis).area_mm2 for d in distances])
    areas[areas == 0] = np.inf
    lowest = int(np.argmin(areas))
    if lowest in (0, len(areas) - 1):
        return float(distances[lowest])
    left, middle, right = areas[lowest - 1 : lowest + 2]
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    return float(distances[lowest] + shift * (distances[1] - distances[0]))


def _neck_end(
    femur: FemurAnatomy, head: Array, axis: Array, narrowest: tuple[float, float]
) -> tuple[float, Literal["area", "join"]]:
    start, smallest = narrowest
    limit = NECK_END_AREA_RATIO * smallest

    def area(distance: float) -> float:
        return section(femur, head + distance * axis, axis).area_mm2

    before = start
    for after in np.arange(start, NECK_END_RADII * femur.head_radius_mm, 0.75):
        if area(float(after)) > limit:
            break
        before = float(after)
    else:
        raise GeometryError("the section of the neck never exceeds 1.5 times the smallest one")
    after = float(after)
    while after - before > 0.03:
        middle = (before + after) / 2
        if area(middle) > limit:
            after = middle
        else:
            before = middle
    leap = area(after) - area(before)
    return after, "join" if leap > JOIN_AREA_RATIO * smallest else "area"
