"""Figures 3, 4 and 8 of the paper, and doubt against Dice; ``surface_figures`` draws 5 and 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from model_export.cases import TrainingCase
from model_export.config import Role
from model_export.dice_fit import expected_and_reached
from model_export.evaluation import FemurScore, reference_masks
from model_export.result_tables import relative_errors_percent
from model_export.volumes import TARGETS
from service.domain.imaging import BoolArray, FemurMasks

DOTS_PER_INCH = 110
NETWORK_COLOUR, REFERENCE_COLOUR = "lime", "yellow"
"""As in the paper's Figs 3 and 4."""

BONE_WINDOW_HU = (-300.0, 1200.0)
MARGIN_MM = 12.0
"""Shown around the femur."""

LEVELS_MM = (12.0, 32.0, 52.0, 90.0)
"""Axial slices shown, below the top of the head: about head, neck, trochanters, shaft."""


@dataclass(frozen=True, eq=False)
class ShownFemur:
    """A femur in a figure: its case, and what was found on the case's grid."""

    case: TrainingCase
    found: FemurMasks


def femurs_to_show(scores: Sequence[FemurScore]) -> tuple[str, ...]:
    """Names of the femurs of the median and of the lowest periosteal DSC; fewer where few exist."""
    ranked = sorted(
        (s.periosteal.dice, s.name) for s in scores if s.periosteal and s.periosteal.dice > 0
    )
    names = [name for _, name in ranked]
    return tuple(dict.fromkeys((names[len(names) // 2], names[0]))) if names else ()


def draw_contours(shown: Sequence[ShownFemur], path: Path, *, endosteal: bool) -> None:
    """Figs 3 and 4: contours on four axial slices and a coronal one, a row per femur."""
    columns = len(LEVELS_MM) + 1
    figure = Figure(figsize=(3.0 * columns, 3.3 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), columns, squeeze=False)
    for row, femur in zip(axes, shown, strict=True):
        _draw_contour_row(row, femur, endosteal=endosteal)
        row[0].set_ylabel(femur.case.name)
    handles = [
        Line2D([], [], color=NETWORK_COLOUR, label="network"),
        Line2D([], [], color=REFERENCE_COLOUR, label="reference"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _draw_contour_row(axes: Sequence[Axes], femur: ShownFemur, *, endosteal: bool) -> None:
    reference = reference_masks(femur.case)
    pair = [
        masks.endosteal if endosteal else masks.periosteal for masks in (reference, femur.found)
    ]
    spacing = reference.geometry.spacing_mm
    occupied = np.argwhere(reference.periosteal)
    margin = np.ceil(MARGIN_MM / np.array(spacing)).astype(int)
    low = np.maximum(occupied.min(axis=0) - margin, 0)
    high = occupied.max(axis=0) + margin + 1
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    top = int(occupied[:, 0].max())
    for axis, level_mm in zip(axes, LEVELS_MM, strict=False):
        k = max(int(occupied[:, 0].min()), top - round(level_mm / spacing.z))
        _draw_slice(axis, femur.case.hu[k, y, x], [m[k, y, x] for m in pair], 1.0)
        axis.set_title(f"{(top - k) * spacing.z:.0f} mm below the top", fontsize=9)
    # the coronal plane through the middle of the upper end
    upper = occupied[occupied[:, 0] > top - LEVELS_MM[-1] / spacing.z]
    j = round(float(upper[:, 1].mean()))
    _draw_slice(
        axes[-1],
        femur.case.hu[z, j, x][::-1],
        [m[z, j, x][::-1] for m in pair],
        spacing.z / spacing.x,
    )
    axes[-1].set_title("coronal", fontsize=9)


def _draw_slice(axis: Axes, hu: np.ndarray, pair: Sequence[BoolArray], aspect: float) -> None:
    """One slice, rows downwards: the reference's contour, then the network's over it."""
    low, high = BONE_WINDOW_HU
    axis.imshow(hu, cmap="gray", vmin=low, vmax=high, aspect=aspect)
    for mask, colour in zip(pair, (REFERENCE_COLOUR, NETWORK_COLOUR), strict=True):
        if mask.any() and not mask.all():
            axis.contour(mask, levels=[0.5], colors=colour, linewidths=0.9)
    axis.set_xticks([])
    axis.set_yticks([])


def draw_relative_errors(scores: Sequence[FemurScore], path: Path) -> None:
    """Fig. 8: relative error against the reference's volume, a panel per target of Table 2.

    A femur without that volume has no point; the title says how many were measured of those whose
    reference has it.
    """
    columns = 5
    rows = -(-len(TARGETS) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(TARGETS) :]:
        panel.set_axis_off()
    for number, (target, panel) in enumerate(zip(TARGETS, panels, strict=False)):
        true = np.array([score.true_cm3[number] for score in scores])
        found = np.array([score.found_cm3[number] for score in scores])
        errors = relative_errors_percent(true, found)
        measured = f"{np.isfinite(errors).sum()} of {np.isfinite(true).sum()}"
        panel.scatter(true, errors, s=14)
        panel.set_ylim(bottom=0)
        panel.set_title(f"({'abcdefghi'[number]}) {target.name}: {measured}", fontsize=9)
        panel.set_xlabel("reference (cm³)", fontsize=8)
        panel.set_ylabel("relative error (%)", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def draw_doubts(scores: Sequence[FemurScore], path: Path) -> None:
    """DSC against the one that the networks' doubt let expect, a panel per surface.

    Expected by the fit to the other subjects; a panel is empty where they allow none.
    """
    figure = Figure(figsize=(9.0, 4.4), layout="constrained")
    roles: tuple[Role, Role] = ("periosteal", "endosteal")
    for role, panel in zip(roles, figure.subplots(1, 2), strict=True):
        expected, reached = expected_and_reached(scores, role)
        title = f"{role} surface: no fit"
        if reached:
            ends = (min(*expected, *reached), max(*expected, *reached))
            panel.plot(ends, ends, color="grey", linewidth=1, label="as expected")
            panel.scatter(expected, reached, s=22, label="femur")
            panel.set_aspect("equal", "datalim")
            panel.locator_params(nbins=6)
            panel.legend(loc="upper left", fontsize=10)
            correlation = np.corrcoef(expected, reached)[0, 1]
            title = f"{role} surface: {len(reached)} femurs, r = {correlation:.2f}"
        panel.set_title(title, fontsize=11)
        panel.set_xlabel("DSC expected from the networks' doubt", fontsize=10)
        panel.set_ylabel("DSC reached", fontsize=10)
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=DOTS_PER_INCH)
