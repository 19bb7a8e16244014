"""What all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips, which is no part of the project; skips where it is absent."""
    folder = Path(os.environ.get("REDISTILL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "weizmann").is_dir():
        pytest.skip(f"no real clips at {folder}; set REDISTILL_SHARED_DATA to their folder")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
