"""How many CPUs this process may use: its affinity and, in a container, its share of CPU time."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def cpu_limit(root: Path = CGROUP_ROOT, own_cgroups: Path = OWN_CGROUPS) -> int:
    """CPUs to compute on, at least 1.

    The smallest of the CPUs that the scheduler allows and each quota between this process's control
    group and the root (cgroups(7): ``cpu.max`` of version 2, ``cpu.cfs_quota_us`` of version 1).
    A part of a CPU counts as one, as its time would else be lost.

    Args:
        root: where the control groups are mounted.
        own_cgroups: proc(5) ``/proc/self/cgroup``; where it is missing only affinity counts.
    """
    limits = [float(_allowed_cpus())]
    try:
        memberships = own_cgroups.read_text("ascii").splitlines()
    except OSError:
        memberships = []
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount = root
        elif "cpu" in controllers.split(","):
            mount = root / "cpu"
        else:
            continue
        # in a container the path may be the host's, of which only the mount itself is in view
        own = mount / path.lstrip("/")
        groups = [group for group in (own, *own.parents) if group.is_relative_to(mount)]
        limits += [limit for group in groups if (limit := _quota(group)) is not None]
    return max(1, math.ceil(min(limits)))


def _allowed_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(group: Path) -> float | None:
    """CPU time per time of one control group; None where it has no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text("ascii").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text("ascii").strip()
            period = (group / "cpu.cfs_period_us").read_text("ascii").strip()
    except OSError:
        return None
    return None if quota in ("max", "-1") else int(quota) / int(period)
