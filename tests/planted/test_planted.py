"""Defects planted in a copy of the library: each must turn a test red.

A suite that stays green over these would prove nothing.  The copy comes first on the path, the
tests named run against it, and at least one must fail (not merely err on import).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DEFECTS = {
    "residual with its sign flipped": (
        "video/gop.py",
        "np.subtract(self._rgb(pos), predicted, out=out, dtype=np.int16)",
        "np.subtract(predicted, self._rgb(pos), out=out, dtype=np.int16)",
        "tests/video/test_reader.py -k reconstruction",
    ),
    "motion not reset at a GOP": (
        "video/gop.py",
        "self._source.maps.reset()",
        "pass",
        "tests/video/test_reader.py -k starts_anew",
    ),
    "motion applied to the source block instead of the destination": (
        "video/motion.py",
        'records["dst"] >> 4, vectors',
        'records["src"] >> 4, vectors',
        "tests/video/test_reader.py -k slow_definition",
    ),
    "BatchNorm of a frozen network drifting": (
        "predict.py",
        "yield net.eval()",
        "yield net",
        "tests/train/test_train.py -k prediction_changes_no_bit",
    ),
    "a settled network that is not in eval mode": (
        "predict.py",
        "return net.eval().requires_grad_(False)",
        "return net.requires_grad_(False)",
        "tests/train/test_train.py -k frozen",
    ),
    "test clips, with their labels, used for selection": (
        "video/splits.py",
        "            val = tuple(by_id[name] for name in chosen.val)\n",
        "            val = tuple(by_id[name] for name in chosen.test)\n",
        "tests/data/test_feeds.py",
    ),
    "test labels read before the end": (
        "feeds.py",
        "    parts, dropped = {}, ()\n",
        '    split.test.open("peek")\n    parts, dropped = {}, ()\n',
        "tests/data/test_feeds.py",
    ),
    "a training transform at test": (
        "feeds.py",
        'train=name == "train"',
        "train=True",
        "tests/data/test_feeds.py",
    ),
    "a modality fed another's scaling": (
        "predict.py",
        "net.modality)",
        '"residual" if net.modality == "mv" else "mv")',
        "tests/train/test_train.py -k first_losses",
    ),
    "a loss with its sign flipped": (
        "phase.py",
        "return F.cross_entropy",
        "return -F.cross_entropy",
        "tests/train/test_train.py -k first_losses",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_turns_a_test_red(name, tmp_path):
    file, right, wrong, tests = DEFECTS[name]
    shutil.copytree(ROOT / "lib" / "redistill", tmp_path / "redistill")
    path = tmp_path / "redistill" / file
    text = path.read_text()
    assert text.count(right) == 1, f"{file} no longer holds what this defect changes"
    path.write_text(text.replace(right, wrong))
    where, _, selected = tests.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n0", "-x", where]
    result = subprocess.run(
        command + (["-k", selected] if selected else []),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, f"{name}: stayed green\n{result.stdout[-2000:]}"
    assert "1 failed" in result.stdout
