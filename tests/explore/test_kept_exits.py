"""What exits said, kept and opened again: to the bit, or with an error that names the file."""

import json
from dataclasses import replace

import pytest
import torch
from drawn_exits import drawn_fold
from safetensors import safe_open
from safetensors.torch import save_file

from redistill.errors import RedistillError
from redistill.evidence.layout import FILE_MOST, RUN_FILES
from redistill.exit_scores import ensemble_table
from redistill.explore import kept_exits
from redistill.explore.exits import exit_explorer
from redistill.explore.kept_exits import FILE, keep_exits, open_exits, packed, reference_exits
from redistill.record import RUN_DIR
from redistill.reference import REFERENCE

FOLDS = [drawn_fold(1, clips=9), drawn_fold(7, clips=5, factor=3)]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file that a run keeps."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    keep_exits(FOLDS, arm="pkd")
    return tmp_path / FILE


def same(one, other):
    about = [(f.fold, f.plain, f.order, sorted(f.macs.items()), f.costs) for f in (one, other)]
    assert repr(about[0]) == repr(about[1])  # numbers of one kind
    for split in ("val", "test"):
        assert torch.equal(one.labels[split], other.labels[split])
        for name, z in one.logits[split]["pkd"].items():
            found = other.logits[split]["pkd"][name]
            assert found.dtype == torch.float32
            assert torch.equal(z.view(torch.int32), found.contiguous().view(torch.int32))


def test_what_was_kept_opens_to_the_same_bits(kept):
    found = open_exits(kept)
    assert len(found) == 2
    for one, other in zip(FOLDS, found, strict=True):
        same(one, other)
    tables = [ensemble_table(folds, arm="pkd", names=["wise"]) for folds in (FOLDS, found)]
    assert tables[0].equals(tables[1])
    assert exit_explorer(found).said == exit_explorer(FOLDS).said


def test_the_text_order_survives(tmp_path):
    fold = drawn_fold(3, order="text")
    path = tmp_path / FILE
    path.write_bytes(packed([fold], arm="pkd"))
    same(fold, open_exits(path)[0])


def test_only_the_arm_and_the_two_splits_are_kept(tmp_path):
    fold = FOLDS[0]
    more = {split: arms | {"ce": arms["pkd"]} for split, arms in fold.logits.items()}
    more["train"] = more["val"]
    labels = {**fold.labels, "train": fold.labels["val"]}
    assert packed([replace(fold, logits=more, labels=labels)], arm="pkd") == packed(
        [fold], arm="pkd"
    )


def test_equal_folds_are_equal_bytes():
    assert len({packed(FOLDS, arm="pkd") for _ in range(20)}) == 1


def test_outside_a_run_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv(RUN_DIR, raising=False)
    monkeypatch.chdir(tmp_path)
    assert keep_exits(FOLDS, arm="pkd") is None
    assert not list(tmp_path.iterdir())


def test_nothing_but_the_file_is_left_and_a_second_writing_replaces_it(kept):
    first = kept.read_bytes()
    keep_exits(FOLDS[:1], arm="pkd")
    assert kept.read_bytes() != first
    assert [path.name for path in kept.parent.iterdir()] == [FILE]


def test_a_file_that_no_bundle_holds_is_not_kept_and_that_is_said(kept, monkeypatch, capsys):
    before = kept.read_bytes()
    monkeypatch.setattr(kept_exits, "FILE_MOST", len(before) - 1)
    keep_exits(FOLDS[:1] * 2, arm="pkd")
    assert kept.read_bytes() == before
    assert f"at most {len(before) - 1}" in capsys.readouterr().out
    assert FILE in RUN_FILES
    assert FILE_MOST >= 1 << 20


def test_an_arm_or_split_that_is_not_there_is_named():
    with pytest.raises(RedistillError, match=r"fold 1 has no val logits of arm 'ce'; it has pkd"):
        packed(FOLDS, arm="ce")


def damaged(path, change):
    """Write the kept file anew, its tensors and header changed by ``change``."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["redistill"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(tensors, about)
    save_file(tensors, path, metadata={"redistill": json.dumps(about)})


def put(name, value):
    return lambda tensors, about: tensors.__setitem__(name, value)


def tell(key, value, fold=0):
    def change(tensors, about):
        (about if fold is None else about["folds"][fold])[key] = value

    return change


NOT_FINITE = torch.full((12, 9, 4), float("nan"))
DAMAGE = {
    "a tensor is missing": (lambda tensors, about: tensors.pop("1.test.labels"), "1.test.labels"),
    "not finite": (put("0.val.logits", NOT_FINITE), "fold 1, val: logits that are not finite"),
    "exits": (put("0.val.logits", torch.zeros(11, 9, 4)), r"\(11, 9, 4\); expected \(12, N, K\)"),
    "clips": (put("0.val.labels", torch.zeros(8).long()), r"labels \(8,\)"),
    "no clips": (put("0.val.logits", torch.zeros(12, 0, 4)), r"\(12, 0, 4\)"),
    "kind of number": (put("0.val.logits", torch.zeros(12, 9, 4).half()), "float16"),
    "label": (put("0.test.labels", torch.full((9,), 4)), "labels beyond 4 classes"),
    "negative label": (put("0.test.labels", torch.full((9,), -1)), "labels beyond 4 classes"),
    "classes": (put("1.test.logits", torch.zeros(12, 5, 3)), "labels beyond|one number"),
    "kind": (tell("kind", "exits 9", None), "its kind is 'exits 9', not 'exits 1'"),
    "folds": (tell("folds", [], None), "0 folds"),
    "folds of text": (tell("folds", "ab", None), "expected the file"),
    "order": (tell("order", "up"), "unknown order of exits 'up'"),
    "network": (tell("macs", {"mv": [1, 2, 3, 4]}), "cost of network 'residual'"),
    "falling costs": (
        tell("macs", {"mv": [4, 3, 2, 1], "iframe": [1, 2, 3, 4], "residual": [1, 2, 3, 4]}),
        "cost of network 'mv'",
    ),
    "plain": (tell("plain", 0), "networks that cost 0 MACs"),
    "plain is text": (tell("plain", "much"), "much"),
    "plain is infinite": (tell("plain", float("inf")), "infinity"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_an_error_that_names_file_and_remedy(kept, what):
    change, told = DAMAGE[what]
    damaged(kept, change)
    with pytest.raises(RedistillError, match=told) as error:
        open_exits(kept)
    for part in (str(kept), "expected the file exits.safetensors of a run", "redistill run"):
        assert part in str(error.value)


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, -1])
def test_a_file_cut_short_is_an_error(kept, keep):
    whole = kept.read_bytes()
    kept.write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else keep])
    with pytest.raises(RedistillError, match=r"does not hold what exits said"):
        open_exits(kept)


@pytest.mark.parametrize("content", [b"%PDF-1.7 and more", b"\x80\x04]q\x00.", b"{}" * 40])
def test_a_foreign_file_is_an_error(tmp_path, content):
    path = tmp_path / "exits.safetensors"
    path.write_bytes(content)
    with pytest.raises(RedistillError, match=r"does not hold what exits said"):
        open_exits(path)


def test_a_checkpoint_a_folder_and_nothing_are_errors(tmp_path):
    save_file({"net.weight": torch.zeros(2)}, tmp_path / "a", metadata={"redistill": "{}"})
    save_file({"net.weight": torch.zeros(2)}, tmp_path / "b")
    for path in (tmp_path / "a", tmp_path / "b", tmp_path, tmp_path / "c"):
        with pytest.raises(RedistillError, match=r"does not hold what exits said"):
            open_exits(path)


def test_the_reference_file_opens_and_has_an_explorer():
    folds = reference_exits()
    assert folds == () or "test clips right" in exit_explorer(folds).said
    assert bool(folds) == (REFERENCE / "explore" / FILE).is_file()


def test_without_the_repository_it_says_where_the_file_would_be(tmp_path, capsys):
    assert reference_exits(tmp_path / FILE) == ()
    said = capsys.readouterr().out
    assert str(tmp_path / FILE) in said
    assert "without its repository" in said
