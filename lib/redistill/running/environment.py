"""Where a run was made: git state, library source, versions, machine, and what it computed on."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from redistill.files import sha256_json

_PACKAGES = (
    *("redistill", "torch", "torchvision", "av", "numpy", "scipy", "pandas", "safetensors"),
    *("pyhessian", "matplotlib", "seaborn", "papermill", "nbclient", "ipykernel", "jupyterlab"),
)
_LIBRARY = Path(__file__).resolve().parents[1]


def environment() -> dict[str, Any]:
    """Return what the runner knows: all but the device and threads, which the kernel tells."""
    return {
        **software(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "git": git_state(_LIBRARY),
    }


def software() -> dict[str, Any]:
    """Return the versions of what computes: Python, packages, ffmpeg's libraries."""
    import av  # late: a kernel asked for its facts need not load it

    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "ffmpeg": {name: ".".join(map(str, n)) for name, n in av.library_versions.items()},
    }


def git_state(folder: Path) -> dict[str, Any]:
    """Return commit and whether files differ from it; commit None outside a repository."""
    ignored = _git(folder, "check-ignore", "-q", ".")  # not None if below another's repository
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    if ignored is not None or commit is None or changes is None:
        return {"commit": None, "dirty": None}
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


def library_hash() -> str:
    """Return the SHA-256 over all Python files of this package, names included."""
    files = _LIBRARY.rglob("*.py")
    return sha256_json({str(path.relative_to(_LIBRARY)): path.read_text() for path in files})


def kernel_facts() -> str:
    """Return, as JSON, what this process computed on; it loads nothing to find out."""
    torch: Any = sys.modules.get("torch")
    device, threads = "cpu", torch and torch.get_num_threads()
    if torch and torch.cuda.is_available() and torch.cuda.is_initialized():
        device = f"cuda: {torch.cuda.get_device_name()}"
    return json.dumps({"device": device, "threads": threads})


def _git(folder: Path, *command: str) -> str | None:
    """Return what git prints; None if there is no git or it says no."""
    line = ["git", "-C", str(folder), *command]
    try:
        return subprocess.run(line, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor() or platform.machine())
