"""Coded terms of DICOM results: those of PS3.16's context groups, else SNOMED CT's, else our own.

A term's meaning is that of the context group (CID) or source named with it.
"""

from __future__ import annotations

from typing import NamedTuple

from pydicom.sr.coding import Code

from service.domain.findings import FemurSide

OWN_SCHEME = "99FEMURCT"
"""Private coding scheme (PS3.16, section 8.2); its terms stand in ``docs/dicom_out.md``."""

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
TISSUE = Code("85756007", "SCT", "Tissue")
"""Categories of segments, CID 7150."""

FEMUR = Code("71341001", "SCT", "Femur")
"""CID 4 and 7192."""

BONE = Code("3138006", "SCT", "Bone")
"""CID 7191."""

PROXIMAL_FEMUR = Code("310651003", "SCT", "Proximal Femur")
HEAD_OF_FEMUR = Code("2812003", "SCT", "Head of Femur")
"""CID 7304."""

NECK_OF_FEMUR = Code("29627003", "SCT", "Structure of neck of femur")
"""In no context group; HL7's mCODE maps Femur_Neck of AAPM's TG-263 to it (ConceptMap TG263CM)."""

GREATER_TROCHANTER = Code("30547004", "SCT", "Structure of greater trochanter of femur")
"""In no context group; value set be-vs-body-site of Belgium's eHealth platform (HL7 FHIR)."""

LATERALITY = {
    FemurSide.LEFT: Code("7771000", "SCT", "Left"),
    FemurSide.RIGHT: Code("24028007", "SCT", "Right"),
}
"""CID 244."""

VOLUME = Code("118565006", "SCT", "Volume")
"""CID 7469."""

CORTICAL_VOLUME = Code("cortical_volume", OWN_SCHEME, "Volume of cortical compartment")
TRABECULAR_VOLUME = Code("trabecular_vol", OWN_SCHEME, "Volume of trabecular compartment")
QUALITY_FLAG = Code("quality_flag", OWN_SCHEME, "Quality flag")

CUBIC_CENTIMETER = Code("cm3", "UCUM", "cubic centimeter")
"""CID 7462."""

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
"""CID 7162."""

CT_PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")
"""CID 100: what was done to the patient, as TID 1500 wants it."""

IMAGING_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
"""CID 7021."""

DEVICE = Code("121007", "DCM", "Device")
"""CID 270."""


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
    "head": SegmentTerm(ANATOMICAL_STRUCTURE, HEAD_OF_FEMUR),
    "neck": SegmentTerm(ANATOMICAL_STRUCTURE, NECK_OF_FEMUR),
    "trochanter": SegmentTerm(ANATOMICAL_STRUCTURE, GREATER_TROCHANTER),
    "intertrochanter": SegmentTerm(
        ANATOMICAL_STRUCTURE,
        PROXIMAL_FEMUR,
        Code("intertrochanter", OWN_SCHEME, "Intertrochanteric region"),
    ),
}
"""By the segment's name. The regions' bounds are those of regions/v1, whatever a term says."""
