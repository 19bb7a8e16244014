"""Run folders as `redistill run` leaves them, made by hand: what pages are tested on."""

import base64
import json
import random
import struct
import zlib
from pathlib import Path

ROW = "application/vnd.redistill.row+json"
FIGURE = "application/vnd.redistill.figure+json"
MODALITIES = ("iframe", "mv", "residual", "fused")


def picture(width: int = 600, height: int = 250) -> str:
    """A sound grey PNG, base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    raw = zlib.compress((b"\0" + b"\xc8" * width) * height)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", raw) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode()


def row(name, value, *, unit="", n=None, **keys) -> dict:
    base = {"name": name, "value": value, "unit": unit, "n": n, "atol": None, "rtol": None}
    return {**base, "free": False, "keys": keys}


def accuracies(seed: int, gain: float = 0.0, **keys) -> list[dict]:
    """Rows of one run: accuracies that depend on the seed, on validation and test clips."""
    chance = random.Random(seed)
    base = {"iframe": 0.72, "mv": 0.55, "residual": 0.64, "fused": 0.75 + gain}
    rows = []
    for split, n in (("val", 120), ("test", 240)):
        for modality in MODALITIES:
            value = min(max(round((base[modality] + chance.gauss(0, 0.015)) * n), 0), n) / n
            arm = "fusion" if modality == "fused" else "backbone"
            where = {"arm": arm, "modality": modality, "split": split, "seed": seed} | keys
            rows.append(row("accuracy", value, unit="fraction", n=n, **where))
    return rows


def markdown(text: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def code(source: str, *outputs: dict, status: str = "completed", tags: tuple = ()) -> dict:
    metadata = {"papermill": {"status": status}, "tags": list(tags)}
    count = None if status == "pending" else 1
    return {
        "cell_type": "code", "metadata": metadata, "source": source,
        "execution_count": count, "outputs": list(outputs),
    }  # fmt: skip


def display(**data) -> dict:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def shown(entry: dict) -> dict:
    return display(**{"text/plain": f"{entry['name']} {entry['value']}", ROW: entry})


def figure(name: str, columns: list, rows: list, caption: str, png: str | None = None) -> dict:
    table = {"name": name, "columns": columns, "rows": rows, "caption": caption}
    table |= {"atol": None, "rtol": None, "free": False}
    return display(**{"image/png": png or picture(), "text/plain": "Figure", FIGURE: table})


INTRO = r"""# Three networks on compressed video

**Claim.** The I-frame, motion and residual networks see different things, so that their
*late fusion* is more accurate than the best of them.

The data are real bitstreams; see the [decoder](https://ffmpeg.org/) and [a file](figures/a.csv).
"""
FORMULA = r"""## Late fusion

Scores are averaged with fixed weights:

$$ s(c) = \frac{1}{4}\left( 2\, s_{I}(c) + s_{M}(c) + s_{R}(c) \right), \qquad
\hat{y} = \operatorname{argmax}_{c} s(c) $$

where $s_m(c)$ is the mean over segments of network $m$.  Costs nothing but 3 forward passes.
"""


def notebook(rows: list[dict], png: str | None = None, png2: str | None = None) -> dict:
    test = [entry for entry in rows if entry["keys"].get("split") == "test"]
    table = [
        [r["keys"]["modality"], r["value"], r["value"] - 0.05, r["value"] + 0.05] for r in test
    ]
    about = "What a GOP holds: I-frame, accumulated motion, residual, and what they rebuild."
    bars = "Test accuracy by modality, with its 95 % interval over clips; dotted: chance."
    cells = [
        markdown(INTRO),
        code('profile = "quick"\nseed = None  # training seed', tags=("parameters",)),
        code('profile = "quick"\nseed = 3', tags=("injected-parameters",)),
        code("config = resolve(ProgressiveConfig, locals())"),
        markdown("## The GOP in pictures\n\nOnly the first frame of a GOP is stored whole."),
        code("show(gop_pictures(*gop), table, name='gop')",
             figure("gop", ["frame", "mean |mv|", "max error"], [[1, 0.5, 0], [2, 1.1, 0]], about,
                    png2)),
        markdown("## Training\n\nEach network is trained alone."),
        code("for modality in MODALITIES:\n    train(modality, config)  # one phase each",
             {"output_type": "stream", "name": "stdout",
              "text": "epoch 1\repoch 2\repoch 3\n\x1b[32mdone\x1b[0m <b>&\n"}),
        markdown(FORMULA),
        code("for m in (*MODALITIES, 'fused'):\n    record('accuracy', acc[m], split='test')",
             *[shown(entry) for entry in test]),
        code("show(accuracies(table), table, name='accuracy')",
             figure("accuracy", ["modality", "accuracy", "low", "high"], table, bars, png)),
        markdown("## What it costs\n\nMultiply-accumulates for each video, all segments."),
        code("record('macs', macs)", shown(row("macs", 41_872_640, unit="MAC", modality="iframe")),
             shown(row("macs", 12_103_680, unit="MAC", modality="mv")),
             shown(row("time", 0.0123, unit="s", modality="mv")),
             display(**{"text/html": "<script>alert(1)</script>", "text/plain": "a table"})),
    ]  # fmt: skip
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def write_run(folder: Path, *, seed: int = 3, profile: str = "quick", state: str = "completed",
              gain: float = 0.0, world: str = "scene_led", png: str | None = None,
              png2: str | None = None, **status) -> Path:  # fmt: skip
    """Write a run folder; a ``state`` other than completed leaves no record behind."""
    folder.mkdir(parents=True)
    parameters = {"profile": profile, "dataset": "synthetic", "world": world, "seed": seed,
                  "data_seed": seed % 5, "epochs": 12, "lr": 0.05, "threads": 2}  # fmt: skip
    rows = accuracies(seed, gain)
    book = notebook(rows, png, png2)
    about = {
        "state": state,
        "cause": "",
        "cell": None,
        "exit_code": None,
        "pid": 1,
        "pid_started": 0.0,
        "host": "here",
        "started": f"2026-01-{seed + 1:02d}T10:00:00+00:00",
        "heartbeat": "2026-01-02T10:01:53+00:00",
        "ended": f"2026-01-{seed + 1:02d}T10:01:53+00:00",
    }
    (folder / "status.json").write_text(json.dumps(about | status))
    (folder / "parameters.json").write_text(json.dumps(parameters))
    if state == "completed":
        record = {
            "version": 1, "status": "completed", "run": folder.name,
            "notebook": "notebooks/3_progressive_kd.ipynb", "notebook_hash": "51fa" * 16,
            "library_hash": "77c1" * 16, "config": "progressive", "config_hash": "9f2c" * 16,
            "profile": profile, "parameters": parameters, "given": {"seed": seed},
            "git": {"commit": "4b1f0c2a9d", "dirty": False},
            "versions": {"python": "3.11.2", "torch": "2.13.0", "av": "18.1.0"},
            "ffmpeg": {"libavcodec": "62.11.100"},
            "machine": {"host": "here", "cpu": "a processor", "cores": 2, "memory": 8 << 30},
            "device": "cpu", "threads": 2,
            "data": {"manifest": "c0ffee" * 8, "clips": 480, "dropped": 0, "test_reads": 1},
            "started": about["started"], "ended": about["ended"], "seconds": 113.2,
            "cell_seconds": [0.8, 3.1, 92.4], "peak_memory": 1_423_000_000,
            "rows": [*rows, row("time", 0.0123, unit="s", modality="mv")],
        }  # fmt: skip
        (folder / "record.json").write_text(json.dumps(record))
    else:
        for cell in book["cells"][8:]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["metadata"]["papermill"]["status"] = [], "pending"
    (folder / "notebook.ipynb").write_text(json.dumps(book))
    return folder
