"""Which masks are delivered, and under which numbers and names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.artifacts.segments import segments_of
from service.domain.findings import FemurSide
from service.domain.imaging import Analysis, FemurMasks, FemurRegion
from tests.builders.analyses import analysis, axial_geometry

NAMES = ("periosteal", "cortical", "trabecular", "head", "neck", "trochanter", "intertrochanter")


def test_segments_are_numbered_from_1_left_femur_first() -> None:
    segments = segments_of(analysis(axial_geometry(), *FemurSide))

    assert [s.number for s in segments] == list(range(1, 15))
    assert [s.tracking_id for s in segments] == [
        f"{s}_{n}" for s in ("left", "right") for n in NAMES
    ]
    assert len({s.tracking_uid for s in segments}) == 14


def test_tracking_uids_are_new_for_every_result() -> None:
    value = analysis(axial_geometry())
    first, second = ({s.tracking_uid for s in segments_of(value)} for _ in range(2))

    assert not first & second


def test_cortical_and_trabecular_make_up_the_periosteal_segment() -> None:
    periosteal, cortical, trabecular, *_ = segments_of(analysis(axial_geometry()))

    assert not (cortical.mask & trabecular.mask).any()
    np.testing.assert_array_equal(cortical.mask | trabecular.mask, periosteal.mask)


def _without_endosteum_and_head(value: Analysis) -> Analysis:
    (femur,) = value.femurs
    masks = femur.masks
    empty = np.zeros_like(masks.endosteal)
    labels = np.where(femur.labels == FemurRegion.HEAD, 0, femur.labels).astype(np.uint8)
    femur = replace(
        femur,
        masks=FemurMasks(masks.side, masks.periosteal, empty, masks.geometry),
        labels=labels,
    )
    return replace(value, femurs=(femur,))


def test_what_was_not_found_is_no_segment() -> None:
    segments = segments_of(_without_endosteum_and_head(analysis(axial_geometry())))

    assert [s.name for s in segments] == ["periosteal", "neck", "trochanter", "intertrochanter"]
    assert [s.number for s in segments] == [1, 2, 3, 4]


def test_a_segment_on_the_source_grid_has_the_same_voxels() -> None:
    value = analysis(axial_geometry())
    for segment in segments_of(value):
        full = segment.on_source(value)
        assert full.shape == value.source_geometry.shape_zyx
        assert full.sum() == segment.mask.sum()
