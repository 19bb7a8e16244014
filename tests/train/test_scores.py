"""Pooled accuracies, the GOP table and the session, against numbers counted by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from redistill import tables
from redistill.cost import milliseconds
from redistill.errors import ConfigError
from redistill.live import Line
from redistill.reference import headline
from redistill.scores import FoldScores, by_fold, pooled
from redistill.session import begin
from redistill.stats import wilson
from redistill.video import encode_mpeg4, read_gops


def logits(*winners: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(winners), 3).float()


def fold(number: int, truth: list[int], **answers: list[int]) -> FoldScores:
    given = {name: logits(*winners) for name, winners in answers.items()}
    labels = torch.tensor(truth)
    return FoldScores(number, {"val": given, "test": given}, {"val": labels, "test": labels})


FOLDS = [
    fold(0, [0, 1, 2], iframe=[0, 1, 2], mv=[0, 0, 0], residual=[1, 1, 1]),
    fold(1, [0], iframe=[1], mv=[0], residual=[0]),
]


def test_folds_are_pooled_clip_by_clip():
    """Not the mean of the folds' accuracies: 3 of 3 and 0 of 1 make 3 of 4."""
    table = pooled(FOLDS).set_index(["split", "modality"]).loc["test"]
    # Fusion 2:1:1: the I-frame's two votes tie with the other two together where those agree.
    assert table["accuracy"].to_dict() == {"iframe": 0.75, "mv": 0.5, "residual": 0.5, "fused": 1}
    assert set(table["n"]) == {4}
    interval = wilson(3, 4)
    assert table.loc["iframe", ["low", "high"]].tolist() == [interval.low, interval.high]


def test_each_fold_by_itself():
    table = by_fold(FOLDS)
    assert table["n"].tolist() == [3, 1]
    assert table["iframe"].tolist() == [1.0, 0.0]


def test_journals_are_averaged_epoch_by_epoch():
    parts = [
        pd.DataFrame({"modality": "mv", "epoch": [1, 2], "loss": loss, "val": [0.0, 1.0]})
        for loss in ([1.0, 2.0], [3.0, 4.0])
    ]
    assert tables.mean_journal(parts)["loss"].tolist() == [2.0, 3.0]


def test_the_table_of_a_still_clip_is_still(tmp_path):
    still = np.full((32, 32, 3), 90, np.uint8)
    encode_mpeg4(tmp_path / "a.avi", [still] * 5)
    table = tables.gop(next(read_gops(tmp_path / "a.avi")))
    assert len(table) == 5
    assert not table[["motion", "change", "residual", "error"]].to_numpy().any()


def test_a_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert begin(SimpleNamespace(threads=1, device="auto")) == "cpu"
    with pytest.raises(ConfigError, match=r"device = 'cuda': torch .* sees no CUDA device"):
        begin(SimpleNamespace(threads=1, device="cuda"))


def test_nothing_is_shown_outside_a_notebook(capsys):
    line = Line()
    line.epoch("mv", {"epoch": 1, "loss": 2.0, "val": 0.5})
    line.say("")
    assert capsys.readouterr().out == ""


def test_headline_names_claims_and_reads_only_valid_records(tmp_path):
    assert "no reference run yet" in headline("G1", folder=tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text(json.dumps({"rows": []}))
    assert "no reference run yet" in headline("G1", folder=tmp_path)
    with pytest.raises(ConfigError, match=r"no claim 'G11'\. Did you mean"):
        headline("G11", folder=tmp_path)


def test_milliseconds_are_milliseconds():
    """A sleep of 20 ms takes at least that, and not twenty seconds."""
    import time

    assert 20 <= milliseconds(lambda: time.sleep(0.02), repeats=3) < 2000
