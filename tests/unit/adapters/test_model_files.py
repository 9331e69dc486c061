"""Contract and digest of a network file, without ONNX Runtime."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from service.adapters.model_files import read_model, read_models
from service.domain.model_contract import METADATA_KEY, ModelContract
from service.errors import ModelError


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of up to 16383 bytes, as protocol buffers write it."""
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    return bytes([number << 3 | 2]) + size + content


def onnx_file(role: str, key: str = METADATA_KEY) -> bytes:
    """ir_version 8, a graph of 300 bytes, then one metadata property."""
    contract = ModelContract.model_validate({"role": role}).model_dump_json().encode()
    return (
        b"\x08\x08"
        + field(7, b"\xff" * 300)
        + field(14, field(1, key.encode()) + field(2, contract))
    )


def test_contract_and_digest_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(onnx_file("endosteal"))
    model = read_model(path)
    assert model.contract == ModelContract(role="endosteal")
    assert model.sha256 == hashlib.sha256(onnx_file("endosteal")).hexdigest()


def test_all_networks_of_a_folder_are_read_by_role(tmp_path: Path) -> None:
    for name, role in (("1", "periosteal"), ("2", "endosteal")):
        (tmp_path / f"{name}.onnx").write_bytes(onnx_file(role))
    assert [model.role for model in read_models(tmp_path)] == ["endosteal", "periosteal"]


def test_a_folder_without_networks_has_none(tmp_path: Path) -> None:
    assert read_models(tmp_path) == ()


@pytest.mark.parametrize(
    "content", [b"", b"no onnx", onnx_file("endosteal", "other key"), b"\x72\x80"]
)
def test_a_file_without_a_contract_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        read_model(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x3a" + b"\xff" * 9 + b"\x01",  # field 7 of 2**64 - 1 bytes
        b"\x3a" + b"\xff" * 20 + b"\x01",  # and of more than an integer holds
        b"\x72\x7f\x0a",  # metadata of 127 bytes in a file of 3
        b"\x72\x02\x0a\x7f",  # a key of 127 bytes in metadata of 2
    ],
)
def test_a_field_longer_than_the_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="it is no ONNX file"):
        read_model(path)


def test_a_contract_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(field(14, field(1, METADATA_KEY.encode()) + field(2, b'{"role": "third"}')))
    with pytest.raises(ModelError, match="another femurct"):
        read_model(path)
