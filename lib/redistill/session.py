"""The first line of a notebook that computes: threads, device, determinism, the look of figures."""

import ctypes
import os
import platform
import warnings
from typing import Any

import torch

from redistill.errors import ConfigError
from redistill.figures import style

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt


def begin(config: Any) -> str:
    """Prepare this process for ``config`` and return the device, ``cpu`` or ``cuda``.

    On the CPU every operation used here is deterministic for a given number of threads.  On CUDA
    the deterministic variant is asked for, and an operation that has none says so in a warning.

    Args:
        config: with ``threads`` and ``device`` (``auto``, ``cpu`` or ``cuda``).

    Raises:
        ConfigError: CUDA is asked for and there is none.
    """
    torch.set_num_threads(config.threads)
    _keep_freed_memory()
    style()
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"parameter device = 'cuda': torch {torch.__version__} sees no CUDA device; "
            "use device = 'cpu' or 'auto', or install a CUDA build (README, 'A GPU')"
        )
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        warnings.filterwarnings("once", message=".*does not have a deterministic.*")
    return device


def _keep_freed_memory() -> None:
    """Ask glibc to keep what a training step frees, for the next step.

    Else it hands large blocks back to the system, which clears each page of them anew: an eighth
    of the time of small networks on a CPU.  The peak of memory is the same.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_MMAP_THRESHOLD, 32 * 2**20)  # the most that it takes
