"""The value of one DICOM element as text (PS3.5 6.2)."""

from __future__ import annotations

import re
import warnings

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
"""A decimal string (PS3.5 6.2, DS and IS)."""

PLAIN_NUMBERS = re.compile(rb"N(\\N)*".replace(b"N", NUMBER.pattern.encode()))
PLAIN_TEXT = re.compile(rb"[A-Za-z0-9 ._\\-]*\0?")
PLAIN_VALUES = {"DS": PLAIN_NUMBERS} | dict.fromkeys(("CS", "LO", "SH", "UI"), PLAIN_TEXT)
"""By value representation, the bytes that are their own text in any character set.

Nearly all values are such. pydicom's conversion takes ten times as long, and judges the others."""

SHORT_BYTES = 2
"""Of one value of US."""


def text_of(dataset: Dataset, keyword: str) -> str:
    """Stripped text, values joined by a backslash; empty when the element is absent or empty.

    Raises:
        Exception: whatever pydicom raises for bytes that are not of the element's type.
    """
    element = dataset.get_item(tag_for_keyword(keyword) or 0, keep_deferred=True)
    plain = _plain_text(element)
    if plain is not None:
        return plain
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = dataset.get(keyword)
    if value is None:
        return ""
    parts = value if isinstance(value, list | tuple | MultiValue) else [value]
    return "\\".join(str(part).strip() for part in parts)


def _plain_text(element: DataElement | RawDataElement | None) -> str | None:
    """The same, without converting the value; None where pydicom must."""
    if element is None:
        return ""
    if not isinstance(element, RawDataElement) or element.value is None:
        return None
    vr = element.VR or dictionary_VR(element.tag)
    if vr == "US" and len(element.value) == SHORT_BYTES:
        return str(int.from_bytes(element.value, "little" if element.is_little_endian else "big"))
    pattern = PLAIN_VALUES.get(vr)
    if pattern is None or not pattern.fullmatch(element.value):
        return None
    text = element.value.decode("ascii").rstrip("\0")
    return "\\".join(part.strip() for part in text.split("\\"))
