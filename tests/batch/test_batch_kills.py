"""A batch of three notebooks and three seeds on two slots, killed three times on its way."""

import random

from killing import live
from tiny_runs import phases_of, rows_of, training_notebooks, undisturbed

SEEDS = ["0", "1", "2"]
ROWS = 6 + 1  # a loss an epoch, a hash of the weights


def test_a_batch_killed_three_times_ends_as_an_undisturbed_one(tmp_path):
    (tmp_path / "oracle").mkdir()
    rows, phases = undisturbed(tmp_path / "oracle", SEEDS)
    assert (len(rows), len(phases)) == (9, 9)
    folder = tmp_path / "batch"
    folder.mkdir()
    training_notebooks(folder)
    kills = ["kernel", "group", "worker"]
    assert live(folder, {"data_seed": SEEDS}, kills, random.Random(7), ROWS) == []
    assert rows_of(folder / "reports") == rows
    assert phases_of(folder / "cache") == phases
    assert {len(each) for each in rows.values()} == {ROWS}
    assert len({each[-1]["value"] for each in rows.values()}) == 9  # no two trainings are equal
    assert (folder / "reports" / "index.html").is_file()
    assert "9/9 runs done" in (folder / "batch.log").read_text()
