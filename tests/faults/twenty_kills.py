"""Twenty kills, too long for every day: ``make test-faults`` names this file, pytest finds it not.

Nine runs on two slots; when all are done and kills are left, they begin anew elsewhere.
"""

import os
import random
from pathlib import Path

from killing import KINDS, live
from tiny_runs import phases_of, rows_of, training_notebooks, undisturbed

AXES = {"data_seed": ["0", "1", "2"]}
ROWS = 6 + 1
KILLS = 20


def test_twenty_kills_change_nothing_and_no_state_between_is_a_lie(tmp_path):
    seed = int(os.environ.get("REDISTILL_SEED", "0"))
    chance = random.Random(seed)
    left = [kind for _ in range(KILLS // len(KINDS)) for kind in KINDS]
    chance.shuffle(left)
    rows, phases = undisturbed(place(tmp_path, "oracle"), AXES["data_seed"])
    assert (len(rows), len(phases)) == (9, 9)
    lives = 0
    while left:
        lives += 1
        folder = place(tmp_path, f"life{lives}")
        before = len(left)
        left = live(folder, AXES, left, chance, ROWS)
        assert len(left) < before, "a life without a kill"
        assert rows_of(folder / "reports") == rows
        assert phases_of(folder / "cache") == phases
    print(f"{KILLS} kills in {lives} lives")


def place(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    training_notebooks(folder)
    return folder
