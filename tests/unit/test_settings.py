"""Settings from the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FEMURCT_{name.upper()}", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_every_setting_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `FEMURCT_(\w+)` \|", DOCS.read_text(), re.MULTILINE)
    assert documented == [name.upper() for name in Settings.model_fields]


def test_the_default_listens_on_loopback_only() -> None:
    assert Settings().is_loopback


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("ct", False)],
)
def test_loopback_is_what_other_machines_cannot_reach(host: str, is_loopback: bool) -> None:
    assert Settings(host=host).is_loopback is is_loopback


def test_keys_are_separated_by_commas_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEMURCT_API_KEYS", "first, second,")
    settings = Settings()
    assert [key.get_secret_value() for key in settings.api_keys] == ["first", "second"]
    assert "first" not in repr(settings)


@pytest.mark.parametrize("stride", [0, 65])
def test_a_stride_lies_within_a_window(stride: int) -> None:
    with pytest.raises(ValidationError):
        Settings(stride_z=stride)
    assert Settings(stride_z=64).stride_z == 64


def test_redis_url_is_read_under_both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://a")
    assert Settings().redis_url == "redis://a"
    monkeypatch.setenv("FEMURCT_REDIS_URL", "redis://b")
    assert Settings().redis_url == "redis://b"


def test_an_empty_redis_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    assert Settings().redis_url is None


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_a_stall_limit_beyond_the_deadline_is_refused() -> None:
    with pytest.raises(ValidationError, match="set the stall limit"):
        Settings(job_deadline_s=10.0, stall_limit_s=11.0)
