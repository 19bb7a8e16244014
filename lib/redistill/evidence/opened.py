"""A bundle opened: its zip, its manifest, and the checks of the container before all others."""

import hashlib
import json
import math
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from redistill.errors import RunError
from redistill.evidence.finding import OK, WRONG, Finding, Unknown
from redistill.evidence.layout import FILE_MOST, MANIFEST, VERSION, digest, has_place, too_large

_CHUNK = 1 << 20
_HEADER = 30  # bytes before the name of an entry in a zip
_ENCRYPTED = 1


class Opened:
    """A bundle: nothing is unpacked to disk, and no file is read beyond the size it may have."""

    def __init__(self, pack: ZipFile) -> None:
        self._pack = pack
        self.infos: list[ZipInfo] = pack.infolist()
        self.sizes = {info.filename: info.file_size for info in self.infos}
        self.manifest: Mapping[str, Any] = {}
        self.safe = False  # whether files may be read: set once names and sizes are checked

    def json(self, name: str) -> Any:
        """Return the JSON in a file; `Unknown` if there is none that can be read."""
        return _parse(self.read(name), name)

    def text(self, name: str) -> str:
        """Return the text in a file; `Unknown` if there is none that can be read."""
        try:
            return self.read(name).decode()
        except ValueError as error:
            raise Unknown(f"{_base(name)} is no text") from error

    def lines(self, name: str) -> list[Any]:
        """Return the JSON in each line of a file."""
        lines = self.read(name).split(b"\n")
        return [_parse(line, name) for line in lines if line]

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        if name not in self.sizes:
            raise Unknown(f"the bundle holds no {_base(name)}")
        if self.sizes[name] > FILE_MOST:
            raise Unknown(f"{_base(name)} is too large")
        try:
            with self._pack.open(name) as file:  # read whole, it unpacks beyond its declared size
                return b"".join(iter(lambda: file.read(_CHUNK), b""))
        except Exception as error:  # a broken zip raises many kinds
            raise Unknown(f"{_base(name)} is damaged") from error

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file; reading it to its end also checks the zip's own sum."""
        found = hashlib.sha256()
        with self._pack.open(name) as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
        return found.hexdigest()


def open_bundle(path: Path) -> Opened:
    """Open a bundle and read its manifest.

    Raises:
        RunError: it is no zip, or a zip without a manifest that can be read.
    """
    if not path.is_file():
        raise RunError(f"no file {path}; give a zip that `redistill bundle` made")
    try:
        opened = Opened(ZipFile(path))
    except Exception as error:  # what is no zip raises many kinds
        raise RunError(f"{path} is no whole zip, so no bundle: {error}") from error
    try:
        opened.manifest = opened.json(MANIFEST)
    except Unknown as error:
        raise RunError(f"{path} is no bundle: {error}") from error
    if why := _misshapen(opened.manifest):
        raise RunError(f"{path} is no bundle: {MANIFEST} {why}")
    return opened


def check_container(opened: Opened) -> Iterator[Finding]:
    """Check names, kinds, sizes and hashes of all entries; mark the bundle safe to read."""
    names, files = [info.orig_filename for info in opened.infos], opened.manifest["files"]
    twice = [name for name, count in Counter(names).items() if count > 1]
    listed, there = set(files), set(names) - {MANIFEST}
    yield _all("no name twice", twice)
    yield _all("every name has its place", [name for name in names if not has_place(name)])
    yield _all("plain files only", [i.filename for i in opened.infos if not _is_plain(i)])
    yield _all("entries lie apart", _overlaps(opened.infos))
    yield _all("nothing is missing", sorted(listed - there))
    yield _all("nothing is unlisted", sorted(there - listed))
    false = [name for name in listed & there if opened.sizes.get(name) != files[name]["size"]]
    yield _all("sizes are as listed", sorted(false))
    excess = too_large(opened.sizes, sum(info.compress_size for info in opened.infos))
    yield _all("nothing is too large", excess)
    opened.safe = not (excess or false)
    if opened.safe:
        yield _all("hashes are as listed", list(_damaged(opened, sorted(listed & there))))
    if opened.manifest["digest"] == digest(opened.manifest):
        yield Finding(OK, f"digest over all, {opened.manifest['digest']}")
    else:
        yield Finding(WRONG, "digest over all", f"{MANIFEST} was changed")


def _all(what: str, wrong: list[str]) -> Finding:
    more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
    return Finding(WRONG, what, ", ".join(wrong[:10]) + more) if wrong else Finding(OK, what)


def _is_plain(info: ZipInfo) -> bool:
    """Whether an entry is a file that may be read: no link, folder or secret, and known packing."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    known = info.compress_type in (ZIP_STORED, ZIP_DEFLATED)
    return kind in (0, stat.S_IFREG) and known and not info.flag_bits & _ENCRYPTED


def _overlaps(infos: list[ZipInfo]) -> list[str]:
    """Return entries that begin inside another, as bombs have them that share their content."""
    found, end = [], 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            found.append(info.filename)
        end = info.header_offset + _HEADER + len(info.orig_filename) + info.compress_size
    return found


def _damaged(opened: Opened, names: list[str]) -> Iterator[str]:
    for name in names:
        try:
            if opened.sha256(name) != opened.manifest["files"][name]["sha256"]:
                yield f"{name} (another content)"
        except Exception as error:  # a broken zip raises many kinds
            yield f"{name} (cannot be read: {error})"


def _parse(raw: bytes, name: str) -> Any:
    try:
        return json.loads(raw, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Unknown(f"{_base(name)} is no JSON") from error


def _finite(word: str) -> float:
    if math.isfinite(value := float(word)):
        return value
    raise ValueError(f"{word} is no finite number")


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _misshapen(manifest: Any) -> str:
    """Say what keeps this JSON from being a manifest; "" if it is one."""
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
        return "names no format"
    if manifest["format"] != VERSION:
        return f"has format {manifest['format']}, this suite reads {VERSION}"
    for field, kinds in (
        ("files", {"sha256": str, "size": int}),
        ("runs", {"state": str, "counted": bool}),
    ):
        entries = manifest.get(field)
        if not isinstance(entries, dict):
            return f"lacks its {field}"
        for name, entry in entries.items():
            if not isinstance(entry, dict) or {k: type(v) for k, v in entry.items()} != kinds:
                return f"tells of {name} in {field} what no manifest tells"
    fits = isinstance(manifest.get("suite"), dict) and isinstance(manifest.get("digest"), str)
    return "" if fits else "lacks suite or digest"
