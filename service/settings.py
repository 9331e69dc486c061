"""The environment, read once by bootstrap into one frozen value; ``docs/settings.md`` lists it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.domain.window import MAX_STRIDE_Z

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Everything that may differ between two installations.

    Each field is the environment variable of the same name in capitals behind ``FEMURCT_``
    (``data_dir`` is ``FEMURCT_DATA_DIR``); ``redis_url`` is also read from ``REDIS_URL``.

    Raises:
        pydantic.ValidationError: a value that cannot be, or limits that contradict each other.
    """

    model_config = SettingsConfigDict(
        env_prefix="FEMURCT_", frozen=True, extra="ignore", populate_by_name=True
    )

    data_dir: Path = Field(
        default_factory=lambda: Path.home() / ".local" / "share" / "femurct",
        description="jobs' files and, without a Redis URL, the embedded broker's",
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("FEMURCT_REDIS_URL", "REDIS_URL"),
        description="redis://, rediss:// or unix:// address; unset: an embedded broker is started",
    )
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port; 0 picks a free one")
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="accepted keys, separated by commas; empty: no authentication"
    )
    allow_anonymous: bool = Field(
        default=False, description="listen beyond loopback without keys (behind a proxy that asks)"
    )
    max_upload_bytes: int = Field(default=2048 * MIB, ge=1, description="largest upload")
    max_archive_members: int = Field(default=20_000, ge=1, description="most files in a zip")
    max_unpacked_bytes: int = Field(default=2048 * MIB, ge=1, description="most bytes unpacked")
    max_member_bytes: int = Field(default=1024 * MIB, ge=1, description="largest unpacked file")
    max_waiting_jobs: int = Field(default=1000, ge=1, description="uploads refused beyond this")
    weights_dir: Path = Field(
        default_factory=lambda: Path(__file__).parent / "weights",
        description="folder with periosteal.onnx and endosteal.onnx",
    )
    provider: Literal["auto", "cuda", "openvino-int8", "openvino", "cpu"] = Field(
        default="auto", description="what runs the networks; auto takes the fastest that is there"
    )
    threads: int = Field(
        default=0, ge=0, description="CPU threads per worker; 0: every CPU it may use"
    )
    stride_z: int | None = Field(
        default=None,
        ge=1,
        le=MAX_STRIDE_Z,
        description="slices between windows of 64; unset: few deep windows (docs/benchmarks.md)",
    )
    job_deadline_s: float = Field(default=3600.0, gt=0, description="longest run of one job")
    stall_limit_s: float = Field(
        default=600.0, gt=0, description="longest time without progress before a run is given up"
    )
    lease_s: float = Field(default=30.0, gt=0, description="how long a dead worker holds its job")
    reconcile_interval_s: float = Field(
        default=5.0, gt=0, description="seconds between two looks for lost jobs"
    )
    max_tries: int = Field(default=3, ge=1, description="runs started before a job is given up")
    retention_s: float = Field(
        default=7 * 86400.0, gt=0, description="how long a finished job's files are kept"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least severe record that is logged"
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(key.strip() for key in value.split(",") if key.strip())
        return value

    @field_validator("redis_url", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("data_dir", "weights_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _limits_agree(self) -> Settings:
        if self.stall_limit_s > self.job_deadline_s:
            raise ValueError(
                f"stall_limit_s is {self.stall_limit_s:g}, job_deadline_s {self.job_deadline_s:g}; "
                "set the stall limit to at most the deadline"
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether the API is out of reach of other machines."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
