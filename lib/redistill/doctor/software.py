"""Python, the packages, JupyterLab's front end, torch and torchvision."""

import importlib
import json
import platform
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redistill.doctor.finding import FAIL, OK, WARN, Finding

if TYPE_CHECKING:
    from redistill.doctor.examine import Asked

_ROOT = Path(__file__).resolve().parents[3]  # of a checkout; an installed package has none
_INSTALL = "install the pinned set: make clean, make lab (or pip install -c requirements.lock -e .)"
_WIDGETS = Path("labextensions", "@jupyter-widgets", "jupyterlab-manager", "package.json")
_ENGINE = "redistill.running.engine:RedistillEngine"


def check_python(asked: "Asked") -> Finding:
    """Compare the running Python with the range of pyproject.toml."""
    from packaging.specifiers import SpecifierSet

    wanted = _project().get("requires-python") or metadata.metadata("redistill")["Requires-Python"]
    version = platform.python_version()
    system = f"{platform.system()} on {platform.machine()}"
    text = f"{version} (wanted {wanted}), {system}"
    if not SpecifierSet(wanted).contains(version, prereleases=True):
        return Finding("python", FAIL, text, "make clean, then make lab PYTHON=python3.12, say")
    if platform.system() == "Windows":
        return Finding("python", FAIL, text, "use Linux, or WSL: file locks are POSIX")
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return Finding("python", WARN, text, "only Linux on x86-64 is tested: run make test")
    return Finding("python", OK, text)


def check_packages(asked: "Asked") -> Finding:
    """Compare what is installed with the ranges of pyproject.toml and the pins of the lock."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in _requirements()]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    pins, off, other = _pins(), [], []
    for one in wanted:
        have = installed(one.name)
        if have is None:
            off.append(f"{one.name} is missing")
        elif not one.specifier.contains(have, prereleases=True):
            off.append(f"{one.name} {have} (wanted {one.specifier})")
        elif pins.get(_plain(one.name), _public(have)) != _public(have):
            other.append(f"{one.name} {have} (pinned {pins[_plain(one.name)]})")
    if off:
        return Finding("packages", FAIL, f"not as needed: {', '.join(off)}", _INSTALL)
    text = f"all {len(wanted)} within the ranges of pyproject.toml"
    if other:
        text += f"; {len(other)} not as pinned: {', '.join(other)}"
        return Finding("packages", WARN, text, f"runs may end with other digits. {_INSTALL}")
    return Finding("packages", OK, text + (" and as pinned in requirements.lock" if pins else ""))


def check_jupyter(asked: "Asked") -> Finding:
    """Look for JupyterLab, its half of the widgets, and papermill with the engine of this suite."""
    names = ("jupyterlab", "ipykernel", "ipywidgets", "jupyterlab_widgets", "nbclient", "papermill")
    have = {name: installed(name) for name in names}
    missing = [name for name, version in have.items() if version is None]
    if missing:
        return Finding("jupyter", FAIL, f"missing: {', '.join(missing)}", _INSTALL)
    told = ", ".join(f"{n} {v}" for n, v in have.items() if n in ("jupyterlab", "ipywidgets"))
    front = _front_end()
    if front is None:
        text = f"{told}, but no widget extension in JupyterLab's folders: controls stay invisible"
        return Finding("jupyter", FAIL, text, "pip install --force-reinstall jupyterlab_widgets")
    engines = metadata.entry_points(group="papermill.engine")
    if _ENGINE not in {entry.value for entry in engines}:
        text = f"{told}; papermill does not know the engine of this suite"
        return Finding("jupyter", WARN, text, "pip install -e . once more")
    return Finding("jupyter", OK, f"{told}, widget extension {front}, papermill's engine is there")


def check_torch(asked: "Asked") -> Finding:
    """Load torch, and torchvision unless in brief, whose operators may not fit this torch."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        text = f"torch {installed('torch')} does not load ({type(error).__name__}: {_brief(error)})"
        return Finding("torch", FAIL, text, _INSTALL)
    pair = f"torch {torch.__version__}, torchvision {installed('torchvision')}"
    needs = _needs_torch()
    if needs and not needs.contains(torch.__version__, prereleases=True):
        text = f"{pair}, which is made for torch {needs}"
        return Finding("torch", FAIL, text, _INSTALL)
    if asked.brief:
        return Finding("torch", OK, f"{pair} belong together; torch loads")
    try:
        importlib.import_module("redistill.nets.torchvision_ops")
    except Exception as error:
        text = f"{pair}: torchvision does not load ({type(error).__name__}: {_brief(error)})"
        return Finding("torch", FAIL, text, _INSTALL)
    if not _operators(torch):
        text = f"{pair} load; torchvision's own operators do not fit this torch: none is used here"
        return Finding("torch", OK, text)
    return Finding("torch", OK, f"{pair} load, torchvision's operators work")


def _brief(error: Exception) -> str:
    return str(error)[:200] or "no text"


def installed(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _operators(torch: Any) -> bool:
    """Whether torchvision's operators are more than declared (redistill.nets.torchvision_ops)."""
    try:
        torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (NotImplementedError, RuntimeError, AttributeError):
        return False
    return True


def _needs_torch() -> Any:
    """Return which torch the installed torchvision is made for; None if it does not say."""
    from packaging.requirements import Requirement

    lines = [Requirement(line) for line in metadata.requires("torchvision") or ()]
    return next((one.specifier for one in lines if one.name == "torch"), None)


def _front_end() -> str | None:
    """Return the version of the widgets' half in JupyterLab, where Jupyter would find it."""
    from jupyter_core.paths import jupyter_path

    for place in jupyter_path(*_WIDGETS.parts):
        if Path(place).is_file():
            found = json.loads(Path(place).read_text(encoding="utf-8"))
            return str(found.get("version", "of no version"))
    return None


def _requirements() -> list[str]:
    """Return what pyproject.toml asks for; an editable install's metadata can be older."""
    return _project().get("dependencies") or list(metadata.requires("redistill") or ())


def _project() -> Mapping[str, Any]:
    path = _ROOT / "pyproject.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"] if path.is_file() else {}


def _pins() -> dict[str, str]:
    path = _ROOT / "requirements.lock"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else ()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {_plain(name): version for name, version in pairs}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _public(version: str) -> str:
    """Return a version without the tag of its build: one pin serves CPU and CUDA builds."""
    return version.partition("+")[0]
