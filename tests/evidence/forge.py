"""A forger: bundles changed with and without making their hashes fit."""

import hashlib
import json
import warnings
from zipfile import ZIP_DEFLATED, ZipFile

from redistill.evidence.check import check_bundle
from redistill.evidence.opened import open_bundle


def contents(path):
    """The files of a zip by name."""
    with ZipFile(path) as pack:
        return {name: pack.read(name) for name in pack.namelist()}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def write(path, files, more=()):
    """Write a zip of files, and of (ZipInfo or name, content) that no dictionary can hold."""
    with ZipFile(path, "w", ZIP_DEFLATED) as pack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name twice
        for name, content in [*files.items(), *more]:
            pack.writestr(name, content)
    return path


def fitted(files):
    """The files with a manifest that lists them as they are, as a careful forger leaves it."""
    manifest = json.loads(files["MANIFEST.json"])
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in files.items()
        if name != "MANIFEST.json"
    }
    manifest.pop("digest")
    manifest["digest"] = hashlib.sha256(canonical(manifest)).hexdigest()
    return files | {"MANIFEST.json": json.dumps(manifest).encode()}


def edited(content, change):
    """JSON with a change made to it; of lines, to each."""
    try:
        value = json.loads(content)
    except ValueError:
        return b"".join(edited(line, change) + b"\n" for line in content.splitlines())
    change(value)
    return json.dumps(value).encode()


def found(path):
    """The findings of a check, as (state, what) with why."""
    return [(one.state, one.what, one.why) for one in check_bundle(open_bundle(path))]


def wrong(path):
    """What was found wrong, by the name of the check."""
    return {what: why for state, what, why in found(path) if state == "wrong"}
