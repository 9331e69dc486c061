"""``femurct up``: the API and one worker as child processes that live and die together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from service.errors import ServiceError

STOP_TIMEOUT_S = 15.0
"""Time to end in order; a job cut short is run again after the next start."""

LOOK_INTERVAL_S = 0.2
"""Pause between two looks at the children."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Part:
    """One process of the service.

    Attributes:
        name: in messages, and the ``femurct`` command that runs it.
        stop_signal: what makes it end soon and in order.
    """

    name: str
    stop_signal: signal.Signals = signal.SIGTERM


def supervise(
    parts: tuple[Part, ...], environment: Mapping[str, str], while_running: Callable[[], None]
) -> None:
    """Run all parts until one ends or this process is told to stop (Ctrl-C or SIGTERM).

    Every part leads a process group of its own: Ctrl-C reaches this process only, which then stops
    all parts and whatever they started. A part whose parent is killed is sent its stop signal by
    the kernel (Linux).

    Args:
        parts: what to run.
        environment: of every part.
        while_running: called every LOOK_INTERVAL_S.

    Raises:
        ServiceError: ``part_ended`` when a part ended by itself.
    """
    children: list[tuple[Part, subprocess.Popen[bytes]]] = []
    try:
        children += [(part, _start(part, environment)) for part in parts]
        while True:
            for part, child in children:
                status = child.poll()
                if status is not None:
                    raise ServiceError(
                        f"the {part.name} ended by itself with status {status}; its last lines "
                        "are above, and 'femurct doctor' looks for the cause",
                        code="part_ended",
                    )
            while_running()
            time.sleep(LOOK_INTERVAL_S)
    except KeyboardInterrupt:
        return
    finally:
        _stop(children)


def _start(part: Part, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    def die_with_parent() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, part.stop_signal)

    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", part.name],
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def _stop(children: list[tuple[Part, subprocess.Popen[bytes]]]) -> None:
    """End every part; what does not end in time is killed with all it started."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for part, child in children:
        child.send_signal(part.stop_signal)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for _, child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
        # whatever the part has left running, too
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    signal.signal(signal.SIGINT, before)
