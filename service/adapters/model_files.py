"""What a network file says of itself, read without ONNX Runtime.

An ONNX file is a protocol buffer message (onnx.proto); ``metadata_props`` is field 14 of its
ModelProto, each a message with a key (field 1) and a value (field 2). The rest is skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from service.domain.model_contract import METADATA_KEY, ModelContract, ModelFile
from service.errors import ModelError

METADATA_PROPS = 14
LARGEST_VARINT_BITS = 70
"""Ten groups of 7 bits hold the 64 of the largest integer."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def read_models(folder: Path) -> tuple[ModelFile, ...]:
    """Every network file of a folder that holds a contract, by role.

    Raises:
        ModelError: a file is missing a contract or breaks it.
    """
    files = sorted(folder.glob("*.onnx"))
    return tuple(sorted((read_model(file) for file in files), key=lambda model: model.role))


def read_model(path: Path) -> ModelFile:
    """Contract and SHA-256 of one network file.

    Raises:
        ModelError: it holds no contract, or is no ONNX file.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        size = path.stat().st_size
        for number, content in _length_fields(file, size, wanted=METADATA_PROPS):
            entry = dict(_length_fields(BytesIO(content), len(content), wanted=None))
            if number == METADATA_PROPS and entry.get(1) == METADATA_KEY.encode():
                contract = _contract(entry.get(2, b""), path.name)
                return ModelFile(role=contract.role, sha256=sha256, contract=contract)
    raise ModelError(
        f"{path.name} holds no femurct contract; export it with `python -m model_export export`"
    )


def _contract(text: bytes, name: str) -> ModelContract:
    try:
        return ModelContract.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(
            f"{name} holds a contract of another femurct; "
            "export it again with `python -m model_export export`"
        ) from error


def _length_fields(file: BinaryIO, size: int, *, wanted: int | None) -> Iterator[tuple[int, bytes]]:
    """Number and content of a message's length-delimited fields; unwanted ones are skipped.

    Args:
        file: positioned at the message, which reaches to its end.
        size: of the message in bytes.
        wanted: number of the fields to give; None for all.

    Raises:
        ModelError: it is no message.
    """
    while (tag := _varint(file)) is not None:
        number, kind = tag >> 3, tag & 7
        if kind == _LENGTH:
            length = _varint(file) or 0
            if length > size:
                raise ModelError(f"a field of {length} bytes in {size}; it is no ONNX file")
            if wanted is None or number == wanted:
                yield number, file.read(length)
            else:
                file.seek(length, 1)
        elif kind == _VARINT:
            _varint(file)
        elif kind in (_FIXED64, _FIXED32):
            file.seek(8 if kind == _FIXED64 else 4, 1)
        else:
            raise ModelError(f"wire type {kind} in a network file; it is no ONNX file")


def _varint(file: BinaryIO) -> int | None:
    """A base-128 integer, least significant group first; none at the end of the file.

    Raises:
        ModelError: it has more than 64 bits.
    """
    value, shift = 0, 0
    while byte := file.read(1):
        if shift >= LARGEST_VARINT_BITS:
            raise ModelError("an integer of over 64 bits in a network file; it is no ONNX file")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    return None
