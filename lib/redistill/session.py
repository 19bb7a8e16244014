"""The first line of a notebook that computes: threads, device, determinism, the look of figures."""

import os
import warnings
from typing import Any

import torch

from redistill.errors import ConfigError
from redistill.figures import style


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
