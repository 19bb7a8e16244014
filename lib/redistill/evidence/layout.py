"""What a bundle holds, under which names, and how large it may be."""

import re
from collections.abc import Mapping
from typing import Any

from redistill.files import sha256_json

VERSION = 1
MANIFEST = "MANIFEST.json"  # suite, runs, and SHA-256 and size of every other file
VERDICTS = "verdicts.json"  # of the ledger, from the records in the bundle alone
CLAIMS = "claims.toml"
DATA = "manifests.json"  # of the data, by run, as the records hold them
LOCK = "requirements.lock"
RUN_FILES = (
    *("record.json", "status.json", "parameters.json", "environment.json", "data.json"),
    *("rows.jsonl", "notebook.ipynb", "report.html"),
    "exits.safetensors",  # of notebook 3: what the exit explorer opens
)
FIGURES = (".png", ".csv")

FILE_MOST = 32 << 20  # bytes of one file, unpacked
TOTAL_MOST = 8 << 30
ENTRIES_MOST = 100_000
_PLAIN = 256 << 20  # a total below this may be packed as tightly as it likes
_RATIO = 100

_SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_TOP = "|".join(map(re.escape, (MANIFEST, VERDICTS, CLAIMS, DATA, LOCK)))
_OWN = "|".join(map(re.escape, RUN_FILES))
_PLACE = re.compile(rf"(?:{_TOP})|runs/{_SLUG}/(?:(?:{_OWN})|figures/{_SLUG}\.(?:png|csv))")


def has_place(name: str) -> bool:
    """Whether a file of this name belongs into a bundle; no name that has one leaves a folder."""
    return _PLACE.fullmatch(name) is not None


def too_large(sizes: Mapping[str, int], zipped: int) -> list[str]:
    """Say what is larger than a bundle may be, so that no small file unpacks to a full disk.

    Args:
        sizes: bytes of each file, unpacked.
        zipped: bytes of the zip.
    """
    total = sum(sizes.values())
    found = [f"{k} has {v} bytes, at most {FILE_MOST}" for k, v in sizes.items() if v > FILE_MOST]
    if len(sizes) > ENTRIES_MOST:
        found.append(f"it has {len(sizes)} files, at most {ENTRIES_MOST}")
    if total > TOTAL_MOST:
        found.append(f"unpacked it has {total} bytes, at most {TOTAL_MOST}")
    if total > _PLAIN and total > _RATIO * zipped:
        found.append(f"{zipped} bytes unpack to {total}, more than {_RATIO} times as many")
    return found


def digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 over all that the manifest says, its own field "digest" left out."""
    return sha256_json({key: value for key, value in manifest.items() if key != "digest"})
