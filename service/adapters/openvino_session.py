"""An ONNX file in OpenVINO's own runtime, on any x86 CPU."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from service.adapters.openvino_int8 import quantise

Float32Array = npt.NDArray[np.float32]


class OpenvinoSession:
    """One network, compiled for one window shape at a time.

    A shape of its own costs 0.2 s to compile and lets memory be planned; OpenVINO's dynamic shapes
    would keep kernels of every shape seen. Of a process's sessions only the one that compiled last
    holds working memory, about 250 bytes a voxel: the networks run one after the other. Threads are
    not bound to cores: two workers would be bound to the same ones. Not to be called from two
    threads at once.

    Args:
        path: the file.
        threads: to compute on.
        int8_bounds: see ``ModelContract``; where there are any, those convolutions are computed
            on int8 and the rest in bfloat16, else all in float32.

    Raises:
        RuntimeError: OpenVINO cannot read the file.
        ValueError: ``int8_bounds`` names what is not in it.
    """

    _holder: ClassVar[OpenvinoSession | None] = None

    def __init__(
        self, path: Path, threads: int, int8_bounds: Sequence[tuple[str, float]] = ()
    ) -> None:
        self._model = _core().read_model(path)
        if int8_bounds:
            quantise(self._model, dict(int8_bounds))
        self._properties = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            # without a hint it is the CPU that chooses, and masks would differ without a word
            "INFERENCE_PRECISION_HINT": "bf16" if int8_bounds else "f32",
        }
        self._shape: tuple[int, ...] = ()
        self._request: Any = None

    def __call__(self, hu: Float32Array) -> Float32Array:
        """Probabilities.

        Args:
            hu: float32 ``[1, 1, z, y, x]``.

        Returns:
            float32 of the same shape, a copy.

        Raises:
            RuntimeError: OpenVINO cannot run the network on this shape.
        """
        if hu.shape != self._shape:
            self._compile(hu.shape)
        (probability,) = self._request.infer({0: hu}, share_inputs=True).values()
        return np.asarray(probability, dtype=np.float32)

    def _compile(self, shape: tuple[int, ...]) -> None:
        if OpenvinoSession._holder is not None:
            OpenvinoSession._holder._let_go()  # its memory goes before the next one's comes
        OpenvinoSession._holder = self
        self._model.reshape(list(shape))
        compiled = _core().compile_model(self._model, "CPU", self._properties)
        self._request = compiled.create_infer_request()
        self._shape = shape

    def _let_go(self) -> None:
        """Give back the working memory; the next call compiles anew."""
        self._shape, self._request = (), None


def has_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16; all that do also have the integer products (VNNI)."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def _core() -> Any:
    """OpenVINO's one object per process, never destroyed.

    Each puts a stack for signal handlers of its own into the thread that compiles first, and puts
    back what it found there. Of two, destroyed in the order they were made, the second puts back a
    stack that is gone, and the next signal, such as SIGTERM, ends the process by SIGSEGV.
    """
    return _openvino().Core()


def _openvino() -> ModuleType:
    """The package, without the telemetry that it sends when it is imported.

    ``import openvino`` reports to a web service (openvino/tools/ovc/__init__.py) unless the package
    openvino-telemetry is missing. Nothing that handles patients' images does that unasked.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino")
