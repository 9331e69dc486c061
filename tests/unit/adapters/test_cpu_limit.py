from pathlib import Path

import pytest

from service.adapters import cpu_limit as module
from service.adapters.cpu_limit import cpu_limit


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_allowed_cpus", lambda: 8)


def own_cgroups(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own"
    path.write_text(text)
    return path


def version_2(group: Path, text: str) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / "cpu.max").write_text(text)


def version_1(group: Path, quota_us: int) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / "cpu.cfs_quota_us").write_text(f"{quota_us}\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1)],
)
def test_a_containers_quota_limits_and_a_part_of_a_cpu_counts_as_one(
    tmp_path: Path, quota: str, expected: int
) -> None:
    version_2(tmp_path, f"{quota}\n")
    assert cpu_limit(tmp_path, own_cgroups(tmp_path, "0::/\n")) == expected


def test_the_smallest_quota_on_the_way_to_the_root_counts(tmp_path: Path) -> None:
    version_2(tmp_path / "machine" / "job", "600000 100000\n")
    version_2(tmp_path / "machine", "300000 100000\n")
    version_2(tmp_path, "max 100000\n")
    assert cpu_limit(tmp_path, own_cgroups(tmp_path, "0::/machine/job\n")) == 3


def test_a_path_of_the_host_that_the_container_does_not_see_leaves_the_mount(
    tmp_path: Path,
) -> None:
    version_2(tmp_path, "200000 100000\n")
    assert cpu_limit(tmp_path, own_cgroups(tmp_path, "0::/system.slice/docker-1.scope\n")) == 2


def test_version_1_limits_too(tmp_path: Path) -> None:
    version_1(tmp_path / "cpu" / "docker", 400000)
    version_1(tmp_path / "cpu", -1)
    text = "3:memory:/docker\n2:cpu,cpuacct:/docker\n1:name=systemd:/docker\n"
    assert cpu_limit(tmp_path, own_cgroups(tmp_path, text)) == 4


def test_without_control_groups_affinity_limits(tmp_path: Path) -> None:
    assert cpu_limit(tmp_path, tmp_path / "missing") == 8
