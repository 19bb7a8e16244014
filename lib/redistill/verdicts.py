"""Notebook 5: what can be set."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from redistill.config import param
from redistill.papers import PAPERS

_TEXT = files("redistill").joinpath("claims.toml").read_text(encoding="utf-8")
_CLAIMS = tuple(entry["id"] for entry in tomllib.loads(_TEXT)["claim"])


@dataclass(frozen=True, kw_only=True)
class VerdictsConfig:
    """Settings of the page of verdicts."""

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quick": {}}

    profile: str = param("quick", help="set of defaults; this notebook trains nothing")
    runs: Path | None = param(help="folder of run folders; none: the reference runs of the suite")
    paper: str = param("all", help="whose claims to show", choices=("all", *PAPERS))
    claim: str = param("P4", help="claim to look at closely", choices=_CLAIMS)
