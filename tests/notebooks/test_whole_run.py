"""Notebook 3 through the runner on a folder of clips: errors at once, kills without loss."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from redistill.video import encode_mpeg4, probe

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "3_progressive_kd.ipynb"
SMALL = {"dataset": "folder", "segments": 1, "size": 36, "views": 2, "width": 4, "depth": 10,
         "depth_iframe": 10, "steps": 60, "ic_steps": 12, "batch": 4, "workers": 0}  # fmt: skip


def command(clips: Path, reports: Path, **changes) -> list[str]:
    settings = SMALL | {"data_root": clips} | changes
    pairs = [part for name, value in settings.items() for part in ("-p", name, str(value))]
    cli = [sys.executable, "-m", "redistill", "run", str(NOTEBOOK), "--quiet"]
    return [*cli, *pairs, "--reports", str(reports)]


def environment(cache: Path) -> dict[str, str]:
    return os.environ | {"REDISTILL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def results(reports: Path) -> list[tuple]:
    """Rows of the one completed run, without what a clock measured."""
    (path,) = reports.glob("*/record.json")
    rows = json.loads(path.read_text())["rows"]
    return [(r["name"], r["value"], r["keys"]) for r in rows if r["unit"] != "ms"]


def tensors(cache: Path) -> dict[str, dict[str, np.ndarray]]:
    files = cache.glob("phases/*/checkpoint.safetensors")
    return {path.parent.name: load_file(path) for path in files}


def test_a_run_killed_in_a_phase_and_started_again_ends_alike(tmp_path, clips):
    """SIGKILL to the runner in the fifth of six phases; rows and weights must agree."""
    whole = subprocess.run(
        command(clips, tmp_path / "a"), env=environment(tmp_path / "ca"), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    killed = subprocess.Popen(
        command(clips, tmp_path / "b"), env=environment(tmp_path / "cb"), text=True
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cb").glob("phases/exits-ics-mv-*/journal.json")):
        assert time.monotonic() < deadline
        assert killed.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (dead,) = (tmp_path / "b").iterdir()
    status = subprocess.run(
        [sys.executable, "-m", "redistill", "status", str(dead)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "killed" in status.stdout
    again = subprocess.run(
        command(clips, tmp_path / "b"), env=environment(tmp_path / "cb"), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert results(tmp_path / "b") == results(tmp_path / "a")
    first, second = tensors(tmp_path / "ca"), tensors(tmp_path / "cb")
    assert first.keys() == second.keys()
    assert len(first) == 6
    for phase, values in first.items():
        assert values.keys() == second[phase].keys()
        assert all(np.array_equal(values[name], second[phase][name]) for name in values)


def broken(clips: Path, folder: Path, what: str) -> Path:
    """A copy of the clips with one thing wrong."""
    import shutil

    root = folder / "set"
    shutil.copytree(clips, root)
    one = root / "down" / "0.avi"
    if what == "truncated":
        one.write_bytes(one.read_bytes()[: one.stat().st_size // 2])
    elif what == "empty":
        one.write_bytes(b"")
    elif what == "text":
        one.write_text("not a video")
    elif what == "B-frames":
        frames = np.random.default_rng(0).integers(0, 255, (24, 48, 64, 3), dtype=np.uint8)
        encode_mpeg4(one, list(frames), bframes=2)
    elif what == "an empty class":
        (root / "nothing").mkdir()
    return root


@pytest.mark.parametrize("what", ["truncated", "empty", "text", "B-frames", "an empty class"])
def test_what_is_wrong_with_the_data_is_one_clear_error(tmp_path, clips, what):
    root = broken(clips, tmp_path, what)
    done = subprocess.run(
        command(root, tmp_path / "r"), env=environment(tmp_path / "c"), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "CatalogError" in done.stderr
    assert ("nothing" if what == "an empty class" else "0.avi") in done.stderr
    assert done.stderr.count("Traceback") == 0


def test_a_bad_file_is_dropped_and_counted_if_asked(tmp_path, clips):
    root = broken(clips, tmp_path, "truncated")
    done = subprocess.run(
        command(root, tmp_path / "r", on_bad="drop", steps=2), env=environment(tmp_path / "c"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts = {
        keys["of"]: value for name, value, keys in results(tmp_path / "r") if name == "number"
    }
    assert (counts["clips"], counts["dropped"]) == (15, 1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("temprature", "2", "temprature"),
        ("stepps", "2", "steps"),
        ("steps", "many", "steps"),
        ("dataset", "weizman", "weizmann"),
        ("data_root", "none", "data_root is not given"),
    ],
)
def test_a_wrong_parameter_stops_at_once(tmp_path, clips, name, value, said):
    started = time.monotonic()
    done = subprocess.run(
        command(clips, tmp_path / "r", **{name: value}), env=environment(tmp_path / "c"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "r").exists()
    assert not (tmp_path / "c").exists()
    assert time.monotonic() - started < 10  # nothing was started; the bound is only for that


def test_a_clip_that_only_fails_to_decode_is_counted_too(tmp_path, clips):
    """The guard reads headers and lets it pass; what the decoder then refuses must be told."""
    root = broken(clips, tmp_path, "nothing yet")
    one = root / "right" / "0.avi"
    whole = bytearray(one.read_bytes())
    packet = whole.index(b"00dc", len(whole) // 4)
    whole[packet + 60 : packet + 400] = bytes(340)
    one.write_bytes(whole)
    assert probe(one).reason is None
    done = subprocess.run(
        command(root, tmp_path / "r", on_bad="drop", steps=2), env=environment(tmp_path / "c"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = results(tmp_path / "r")
    counts = {keys["of"]: value for name, value, keys in rows if name == "number"}
    assert (counts["dropped"], counts["clips that failed to decode"]) == (0, 1)
    (record,) = (tmp_path / "r").glob("*/record.json")
    assert json.loads(record.read_text())["data"]["undecoded"][0][0] == "right/0.avi"
