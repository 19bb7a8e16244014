"""Notebook 2 with other arms than its own: none of its cells may count on one that is not there."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"dataset": "folder", "frames": 4, "size": 32, "views": 2, "teacher_width": 4,
         "student_width": 2, "teacher_steps": 2, "steps": 2, "batch": 4, "workers": 0}  # fmt: skip


def test_notebook_2_without_the_student_alone(clips, tmp_path):
    settings = SMALL | {"data_root": clips, "arms": "pdd,mutual", "look_at": clips / "down/0.avi"}
    pairs = [part for name, value in settings.items() for part in ("-p", name, str(value))]
    notebook = ROOT / "notebooks" / "2_spectrum_kd.ipynb"
    line = [sys.executable, "-m", "redistill", "run", str(notebook), "--quiet", *pairs]
    about = os.environ | {"REDISTILL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*line, "--reports", str(tmp_path)], env=about, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    (path,) = tmp_path.glob("*/record.json")
    rows = json.loads(path.read_text())["rows"]
    arms = {row["keys"]["arm"] for row in rows if row["name"] == "accuracy"}
    assert arms == {"teacher", "pdd", "mutual"}
