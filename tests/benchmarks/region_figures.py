"""Draws the figure of docs/regions.md from one femur with its exact masks.

``python -m tests.benchmarks.region_figures CASE.npz --out docs/regions.png`` takes a case that
``python -m model_export phantom`` wrote. Everything drawn comes from the product's own landmarks.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from model_export.cases import load_case
from model_export.evaluation import reference_masks
from service.domain.findings import FemurGeometry, Plane, Vector
from service.domain.geometry import FloatArray
from service.domain.imaging import FemurMasks, FieldOfViewCuts, HuArray
from service.pipeline.distance_field import DistanceField, distance_field
from service.pipeline.left_femur import FemurAxes, LeftFemur, left_femur
from service.pipeline.neck import HALF_WIDTH_R, TROCHANTER_AREA_RATIO, TROCHANTER_SEARCH_TO_R
from service.pipeline.regions import divide
from service.pipeline.sections import section
from service.pipeline.shaft import Line

DOTS_PER_INCH = 90
REGION_COLOURS = ("#4477aa", "#ee6677", "#ccbb44", "#228833")
"""Head, neck, trochanter, intertrochanter."""

BONE_WINDOW_HU = (-300.0, 1400.0)
STEP_MM = 0.4
MARGIN_MM = 10.0
BELOW_DISTAL_MM = 15.0


@dataclass(frozen=True, eq=False)
class View:
    """A plane of the left frame: a point and two unit directions, ``(3,)`` each."""

    point_mm: FloatArray
    right: FloatArray
    up: FloatArray

    def of(self, point: Vector | FloatArray) -> tuple[float, float]:
        """Where a point is seen, mm to the right and up."""
        offset = np.asarray(point) - self.point_mm
        return float(offset @ self.right), float(offset @ self.up)

    def grid(self, right_mm: FloatArray, up_mm: FloatArray) -> FloatArray:
        """Points ``[up, right, 3]`` of the plane."""
        return self.point_mm + right_mm[None, :, None] * self.right + up_mm[:, None, None] * self.up


def draw(masks: FemurMasks, hu: HuArray, out: Path) -> None:
    """The plane of neck and shaft, the areas along the neck, and the lesser trochanter.

    Args:
        masks: of a left femur.
        hu: the CT on the masks' grid.
        out: the PNG to write.

    Raises:
        ValueError: if a landmark is missing.
    """
    regions = divide(masks, FieldOfViewCuts())
    femur = left_femur(masks, hu, regions)
    axes = femur.axes if femur is not None else None
    if femur is None or axes is None or axes.shaft is None or axes.lesser_trochanter_mm is None:
        raise ValueError(f"not all landmarks found: {regions.flags}; take another femur")
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    frontal, areas, axial = figure.subplots(1, 3, width_ratios=(1.0, 1.1, 0.8))
    _draw_frontal(frontal, femur, axes, axes.shaft, regions.geometry)
    _draw_areas(areas, distance_field(femur.outer_mask), axes, regions.geometry)
    _draw_axial(axial, femur, axes.shaft, axes.lesser_trochanter_mm, axes.head_centre_mm)
    figure.savefig(out, dpi=DOTS_PER_INCH)


def _draw_frontal(
    panel: Axes, femur: LeftFemur, axes: FemurAxes, shaft: Line, geometry: FemurGeometry
) -> None:
    posterior = axes.posterior
    if posterior is None:
        raise ValueError("no shaft axis")
    view = View(axes.neck_centre_mm, np.cross(posterior, shaft.direction), shaft.direction)
    corners = femur.geometry.index_to_lps(np.argwhere(femur.outer_mask.inside)) - view.point_mm
    across, height = corners @ view.right, corners @ view.up
    planes = geometry.planes
    foot = float(height.min())
    if planes.distal is not None:
        foot = max(foot, view.of(planes.distal.point_lps_mm)[1] - BELOW_DISTAL_MM)
    _show(
        panel,
        femur,
        view,
        (float(across.min()), float(across.max())),
        (foot, float(height.max())),
    )
    for name, plane, reach in (
        ("5", planes.head_neck, 30.0),
        ("6", planes.neck_trochanter, 34.0),
        ("7", planes.trochanter_intertrochanter, 60.0),
        ("8", planes.distal, 28.0),
    ):
        if plane is not None:
            _draw_plane(panel, view, plane, name, reach)
    n = geometry.neck_axis_lps
    head = np.array(geometry.head_centre_lps_mm)
    _line(panel, view, head, head + 95 * np.array(n), "N")
    top = float(shaft.height_mm(view.point_mm))
    _line(panel, view, shaft.at(top - 90.0), shaft.at(top + 30.0), "S")
    turn = np.linspace(0, 2 * np.pi, 200)
    x, y = view.of(head)
    radius = geometry.head_radius_mm or 0.0
    panel.plot(x + radius * np.cos(turn), y + radius * np.sin(turn), "w--", lw=0.8)
    for name, point in (
        ("H", geometry.head_centre_lps_mm),
        ("O", geometry.neck_centre_lps_mm),
        ("lesser", geometry.lesser_trochanter_lps_mm),
        ("greater", geometry.greater_trochanter_lps_mm),
    ):
        if point is not None:
            x, y = view.of(point)
            panel.plot(x, y, "wo", ms=4, mec="k")
            panel.annotate(name, (x, y), (4, 4), textcoords="offset points", color="w", fontsize=8)
    panel.set_title("plane of N and S through O")


def _show(
    panel: Axes,
    femur: LeftFemur,
    view: View,
    right_mm: tuple[float, float],
    up_mm: tuple[float, float],
) -> None:
    """CT, regions and both contours in a plane."""
    right, up = (np.arange(a - MARGIN_MM, b + MARGIN_MM, STEP_MM) for a, b in (right_mm, up_mm))
    points = view.grid(right, up)
    extent = (float(right[0]), float(right[-1]), float(up[0]), float(up[-1]))
    low, high = BONE_WINDOW_HU
    panel.imshow(
        femur.sample_hu(points), "gray", vmin=low, vmax=high, origin="lower", extent=extent
    )
    labels = femur.sample_labels(points)
    panel.imshow(
        np.ma.masked_equal(labels, 0),
        ListedColormap(REGION_COLOURS),
        vmin=1,
        vmax=4,
        alpha=0.35,
        origin="lower",
        extent=extent,
        interpolation="nearest",
    )
    for field, colour in ((femur.outer, "yellow"), (femur.inner, "cyan")):
        panel.contour(right, up, field.sample(points), [0.0], colors=colour, linewidths=0.8)
    panel.set_xlim(extent[0], extent[1])
    panel.set_ylim(extent[2], extent[3])
    panel.set_xlabel("mm")


def _draw_plane(panel: Axes, view: View, plane: Plane, name: str, reach_mm: float) -> None:
    x, y = view.of(plane.point_lps_mm)
    normal = np.array(plane.normal_lps)
    along = np.array([-(normal @ view.up), normal @ view.right])
    along /= np.linalg.norm(along)
    ends = np.array([[x, y] - reach_mm * along, [x, y] + reach_mm * along])
    panel.plot(*ends.T, color="w", lw=1.2)
    top = ends[int(np.argmax(ends[:, 1]))]
    panel.annotate(name, tuple(top), color="w", fontsize=9, weight="bold")


def _line(panel: Axes, view: View, start: FloatArray, end: FloatArray, name: str) -> None:
    a, b = view.of(start), view.of(end)
    panel.plot((a[0], b[0]), (a[1], b[1]), color="orange", lw=1.0, ls=":")
    panel.annotate(name, b, color="orange", fontsize=9)


def _draw_areas(
    panel: Axes, field: DistanceField, axes: FemurAxes, geometry: FemurGeometry
) -> None:
    radius = axes.head_radius_mm
    places = np.arange(0.4 * radius, TROCHANTER_SEARCH_TO_R * radius, 0.5)
    areas = [
        section(
            field,
            axes.head_centre_mm + place * axes.neck_axis,
            axes.neck_axis,
            HALF_WIDTH_R * radius,
        ).area_mm2
        / 100
        for place in places
    ]
    panel.plot(places, areas, color="k")
    smallest = np.pi * (geometry.neck_radius_mm or 0.0) ** 2 / 100
    middle = float((axes.neck_centre_mm - axes.head_centre_mm) @ axes.neck_axis)
    panel.plot(middle, smallest, "o", color="orange")
    panel.annotate("O", (middle, smallest), (3, -12), textcoords="offset points")
    panel.axhline(TROCHANTER_AREA_RATIO * smallest, color="grey", ls=":", lw=1)
    start, end = axes.neck_range_mm or (middle, middle)
    for name, place in (("5 head|neck", start), ("6 neck|trochanter", end)):
        panel.axvline(place, color="tab:red", lw=1)
        panel.annotate(
            name,
            (place, 0.98),
            (3, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=8,
        )
    panel.set_xlim(places[0], places[int(np.argmax(np.cumsum(areas)))])
    panel.set_ylim(0, 2.2 * TROCHANTER_AREA_RATIO * smallest)
    panel.set_xlabel("mm from H along N")
    panel.set_ylabel("cm2")
    panel.set_title(f"section across N; plane 6 by `{geometry.neck_trochanter_rule}`")


def _draw_axial(
    panel: Axes, femur: LeftFemur, shaft: Line, lesser_mm: FloatArray, head_mm: FloatArray
) -> None:
    point = shaft.at(float(shaft.height_mm(lesser_mm)))
    toward_head = head_mm - shaft.at(float(shaft.height_mm(head_mm)))
    medial = toward_head / np.linalg.norm(toward_head)
    # seen from above with the head's side to the left and behind at the bottom
    view = View(point, -medial, np.cross(shaft.direction, -medial) * -1.0)
    _show(panel, femur, view, (-32.0, 32.0), (-32.0, 32.0))
    for degrees in (20, 115):
        angle = np.deg2rad(degrees)
        panel.plot((0, -36 * np.cos(angle)), (0, -36 * np.sin(angle)), color="orange", lw=1, ls=":")
    panel.plot(*view.of(lesser_mm), "wo", ms=5, mec="k")
    panel.plot(0, 0, "+", color="orange")
    panel.set_title("across S at the lesser trochanter")


def main() -> None:
    """Read a case, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/regions.png"))
    arguments = parser.parse_args()
    case = load_case(arguments.case)
    draw(reference_masks(case), case.hu, arguments.out)


if __name__ == "__main__":
    main()
