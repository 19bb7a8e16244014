"""Where a run was made: git state, library source, versions, machine, and what it computed on."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    *("redistill", "torch", "torchvision", "av", "numpy", "scipy", "pandas", "safetensors"),
    *("pyhessian", "matplotlib", "seaborn", "papermill", "nbclient", "ipykernel", "jupyterlab"),
)
_LIBRARY = Path(__file__).resolve().parent


def environment() -> dict[str, Any]:
    """Return what the runner knows: all but the device and threads, which the kernel tells."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "git": git_state(_LIBRARY),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "ffmpeg": _ffmpeg(),
    }


def git_state(folder: Path) -> dict[str, Any]:
    """Return commit and whether files differ from it; commit None outside a repository."""
    unknown = {"commit": None, "dirty": None}
    if _git(folder, "check-ignore", "-q", ".") is not None:  # installed below another's repository
        return unknown
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    if commit is None or changes is None:
        return unknown
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


def library_hash() -> str:
    """Return the SHA-256 over all Python files of this package, names included."""
    digest = hashlib.sha256()
    for path in sorted(_LIBRARY.rglob("*.py")):
        digest.update(str(path.relative_to(_LIBRARY)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def kernel_facts() -> str:
    """Return, as JSON, what this process computed on; it loads nothing to find out."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return json.dumps({"device": "cpu", "threads": None})
    device = "cpu"
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        device = f"cuda: {torch.cuda.get_device_name()}"
    return json.dumps({"device": device, "threads": torch.get_num_threads()})


def _git(folder: Path, *command: str) -> str | None:
    """Return what git prints; None if there is no git or it says no."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *command],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _ffmpeg() -> dict[str, str]:
    import av

    return {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor() or platform.machine())
