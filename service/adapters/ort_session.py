"""An ONNX file in ONNX Runtime, on an NVIDIA GPU or on any CPU."""

from __future__ import annotations

import ctypes
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.errors import ModelError

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

CUDA_OPTIONS = {"use_tf32": "0"}
"""By default GPUs from Ampere on multiply in 10 bits of mantissa, and the masks would differ."""

Float32Array = npt.NDArray[np.float32]


class OrtSession:
    """One network in one ONNX Runtime session.

    Args:
        path: the file.
        provider: CUDA or CPU.
        threads: to compute on.

    Raises:
        ModelError: the provider does not start.
        Exception: what else ONNX Runtime raises; its errors share no other base class.
    """

    def __init__(self, path: Path, provider: str, threads: int) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        # kept between runs, and grown by doubling, an arena would hold 3 GiB for two networks
        options.enable_cpu_mem_arena = False
        not_loaded = _preload_cuda() if provider == CUDA else ""
        self._session = ort.InferenceSession(
            str(path),
            sess_options=options,
            providers=[provider],
            provider_options=[CUDA_OPTIONS if provider == CUDA else {}],
        )
        if provider not in self._session.get_providers():
            raise ModelError(
                "it does not start; install femurct[gpu], or the CUDA and cuDNN that ONNX Runtime "
                f"needs, and a driver for them. {not_loaded}".strip()
            )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, hu: Float32Array) -> Float32Array:
        """Probabilities.

        Args:
            hu: float32 ``[1, 1, z, y, x]``.

        Returns:
            float32 of the same shape.
        """
        (probability,) = self._session.run(None, {self._input: hu})
        return np.asarray(probability, dtype=np.float32)


def missing_for_cuda() -> str:
    """What CUDA needs and this machine lacks; empty where it is worth a try."""
    if CUDA not in ort.get_available_providers():
        return "this build of ONNX Runtime comes without CUDA"
    if not has_cuda_device():
        return "no CUDA device answers"
    return ""


def has_cuda_device() -> bool:
    """Whether NVIDIA's driver is there and counts a device.

    ONNX Runtime's own list of devices comes from the display drivers, which a server may not load.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return False
    return count.value > 0


@cache
def _preload_cuda() -> str:
    """Load CUDA and cuDNN of the ``gpu`` extra, which lie where the linker does not look.

    Returns:
        The first thing that could not be loaded, as ONNX Runtime prints it; empty if none.
    """
    with redirect_stdout(StringIO()) as said:
        ort.preload_dlls()
    return said.getvalue().partition("\n")[0]
