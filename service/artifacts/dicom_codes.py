"""Coded terms of DICOM results (PS3.16): SNOMED CT where it has the term, else our own scheme."""

from __future__ import annotations

from typing import NamedTuple

from pydicom.sr.coding import Code

from service.domain.findings import FemurSide

OWN_SCHEME = "99FEMURCT"
"""Private coding scheme (PS3.16, section 8.2); its terms stand in ``docs/dicom_out.md``."""

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
TISSUE = Code("85756007", "SCT", "Tissue")
FEMUR = Code("71341001", "SCT", "Femur")
PROXIMAL_FEMUR = Code("310651003", "SCT", "Proximal Femur")
BONE = Code("3138006", "SCT", "Bone")

LATERALITY = {
    FemurSide.LEFT: Code("7771000", "SCT", "Left"),
    FemurSide.RIGHT: Code("24028007", "SCT", "Right"),
}
"""CID 244."""

VOLUME = Code("118565006", "SCT", "Volume")
CORTICAL_VOLUME = Code("cortical_volume", OWN_SCHEME, "Volume of cortical compartment")
TRABECULAR_VOLUME = Code("trabecular_vol", OWN_SCHEME, "Volume of trabecular compartment")
CUBIC_CENTIMETER = Code("cm3", "UCUM", "cubic centimeter")
QUALITY_FLAG = Code("quality_flag", OWN_SCHEME, "Quality flag")

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
COMPUTED_TOMOGRAPHY = Code("77477000", "SCT", "Computed tomography")
IMAGING_REPORT = Code("126000", "DCM", "Imaging Measurement Report")


class SegmentTerm(NamedTuple):
    """What a segment is (PS3.3 C.8.20.4): category, type, and a modifier beside the laterality."""

    category: Code
    property_type: Code
    modifier: Code | None = None


SEGMENT_TERMS = {
    "periosteal": SegmentTerm(ANATOMICAL_STRUCTURE, FEMUR),
    "cortical": SegmentTerm(
        TISSUE, BONE, Code("cortical", OWN_SCHEME, "Between periosteal and endosteal surface")
    ),
    "trabecular": SegmentTerm(
        TISSUE, BONE, Code("trabecular", OWN_SCHEME, "Inside endosteal surface")
    ),
    "head": SegmentTerm(ANATOMICAL_STRUCTURE, Code("2812003", "SCT", "Head of Femur")),
    "neck": SegmentTerm(
        ANATOMICAL_STRUCTURE, Code("29627003", "SCT", "Structure of neck of femur")
    ),
    "trochanter": SegmentTerm(
        ANATOMICAL_STRUCTURE, Code("30547004", "SCT", "Structure of greater trochanter of femur")
    ),
    "intertrochanter": SegmentTerm(
        ANATOMICAL_STRUCTURE,
        PROXIMAL_FEMUR,
        Code("intertrochanter", OWN_SCHEME, "Intertrochanteric region"),
    ),
}
"""By the segment's name. The regions' bounds are those of regions/v1, whatever a term says."""
