"""Writing a bundle: the same runs give the same bytes, and a failure leaves no half file."""

import contextlib
import hashlib
import io
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from redistill import __version__
from redistill.claims import load_claims
from redistill.errors import RunError
from redistill.evidence.choose import Chosen
from redistill.evidence.layout import (
    CLAIMS,
    DATA,
    FIGURES,
    LOCK,
    MANIFEST,
    RUN_FILES,
    VERDICTS,
    VERSION,
    digest,
    has_place,
    too_large,
)
from redistill.evidence.verdicts import judged
from redistill.files import sync_folder
from redistill.running.environment import environment, library_hash
from redistill.running.status import Ending, RunStopped

_ROOT = Path(__file__).resolve().parents[3]  # the repository, where the suite lies in one
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can hold
_CHUNK = 1 << 20


def write_bundle(path: Path, runs: Sequence[Chosen], *, force: bool = False) -> dict[str, Any]:
    """Pack ``runs`` into the zip ``path``, whole or not at all, and return its manifest.

    Raises:
        RunError: ``path`` exists (and not ``force``), or a file that cannot be packed or written.
        RunStopped: the disk is full.
    """
    if path.exists() and not force:
        raise RunError(f"{path} exists already; --force replaces it, -o names another")
    try:
        with _whole(path) as file, ZipFile(file, "w", ZIP_DEFLATED) as pack:
            manifest = _fill(pack, runs)
            sizes = {info.filename: info.file_size for info in pack.infolist()}
            if excess := too_large(sizes, file.tell()):
                raise RunError(f"{path} was not written, since it is too large: {excess[0]}")
    except OSError as error:
        from redistill.running.endings import DISK_FULL  # late: it brings papermill

        about = f"{error.strerror}: {error.filename or path}"
        if error.errno in DISK_FULL:
            raise RunStopped(Ending("disk_full", about)) from error
        raise RunError(f"{path} was not written ({about}); name another file with -o") from error
    return manifest


def suite() -> dict[str, Any]:
    """Return what made the bundle: version, commit, library and the versions around it."""
    known = environment()
    about = {name: known[name] for name in ("python", "git", "versions")}
    return {"version": __version__, "library_hash": library_hash(), **about}


def _fill(pack: ZipFile, runs: Sequence[Chosen]) -> dict[str, Any]:
    """Write all files, in the order of their names, and the manifest over them as the last."""
    records = [run.record | {"run": run.name} for run in runs if run.record]
    made: dict[str, Path | bytes] = {
        VERDICTS: _json(judged(load_claims(), records)),
        DATA: _json({record["run"]: record["data"] for record in records}),
        CLAIMS: files("redistill").joinpath(CLAIMS).read_bytes(),
    }
    if (_ROOT / LOCK).is_file():
        made[LOCK] = (_ROOT / LOCK).read_bytes()
    for run in runs:
        made |= {f"runs/{run.name}/{name}": path for name, path in _kept(run.folder)}
    manifest = {
        "format": VERSION,
        "suite": suite(),
        "runs": {run.name: {"state": run.state, "counted": bool(run.record)} for run in runs},
        "files": {name: _add(pack, name, made[name]) for name in sorted(made)},
    }
    manifest["digest"] = digest(manifest)
    _add(pack, MANIFEST, _json(manifest))
    return manifest


def _kept(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of what is packed of a run; nothing else in its folder is evidence."""
    for name in RUN_FILES:
        if os.path.lexists(folder / name):
            yield name, folder / name
    figures = folder / "figures"
    if figures.is_symlink():
        raise RunError(f"{figures} is a link; a bundle takes plain files: put the folder there")
    for path in sorted(figures.glob("*")):
        if path.suffix in FIGURES and not path.name.startswith("."):
            yield f"figures/{path.name}", path


def _add(pack: ZipFile, name: str, source: Path | bytes) -> dict[str, Any]:
    """Write one file into the zip; return its SHA-256 and size."""
    if not has_place(name):
        raise RunError(f"{source} cannot be packed: {name!r} is no plain name; rename it")
    info = ZipInfo(name, _EPOCH)
    info.compress_type, info.create_system = ZIP_DEFLATED, 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    found, size = hashlib.sha256(), 0
    with _opened(source) as file, pack.open(info, "w") as target:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
            size += len(chunk)
            target.write(chunk)
    return {"sha256": found.hexdigest(), "size": size}


def _opened(source: Path | bytes) -> IO[bytes]:
    """Open a plain file; a link could lead anywhere, and a pipe would never end."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if not stat.S_ISREG(source.lstat().st_mode):
        raise RunError(f"{source} is no plain file; a bundle takes no links: put the file there")
    return source.open("rb")


def _json(value: Any) -> bytes:
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode()


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that becomes ``path`` when the block ends well, and else leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)
