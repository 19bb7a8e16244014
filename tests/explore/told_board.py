"""Boards for tests: of tiny trained cascades, and told by hand."""

import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "methods"))

import tiny_school as tiny

from redistill.explore.substage_board import Board, Chain, Node, Term, Turn
from redistill.methods.label_quality import LabelQuality
from redistill.methods.substage_study import study_fold

LINE = SimpleNamespace(epoch=lambda name, line: None)


def told_study(**changes):
    """Return config, study, feeds and weak labels of one tiny fold."""
    config = tiny.tiny_config(**changes)
    feeds, weak = tiny.tiny_feeds(config.views), tiny.tiny_weak(config)
    study = study_fold(config, feeds, weak, 0, classes=tiny.CLASSES, device="cpu", line=LINE)
    return config, study, feeds, weak


def told_node(name, role, branch, column, losses, *, round, terms=(("labels", 1.0, 2.0),)):
    total = sum(value for _, _, value in terms) or 1.0
    told = tuple(Term(slot, slot[:2], w, value, value / total) for slot, w, value in terms)
    teachers = "" if name == "teacher" else "the teacher"
    symbols = {"labels": "L_{ce}", "response": "D_{res}", "relation": "D_{rel}"}
    formula = f"$L = {' + '.join(symbols[slot] for slot, _, _ in terms)}$"
    return Node(
        name, role, branch, column, 4 + column, teachers, tuple(losses),
        (column + 1) / 8, round, told, formula,
    )  # fmt: skip


def told_turn(name, accuracy, *, kept=True, coverage=0.5):
    chosen = 0.9 * accuracy if coverage else float("nan")
    return Turn(name, kept, LabelQuality(0, 40, accuracy, chosen, coverage, 0.0, -1.0))


def told_chain(arm="staged", *, assistants=1, kinds=("response", "relation"), rounds=None):
    """Return a chain whose losses and shares are all different."""
    nodes = [told_node("teacher", "teacher", "all", 0, [3.0, 2.0, 1.0, 0.5], round=0)]
    for level in range(1, assistants + 2):
        role = "student" if level > assistants else f"assistant {level} of {assistants}"
        for number, kind in enumerate(kinds):
            losses = [4.0 - 0.25 * e - 0.1 * level - 0.3 * number for e in range(3 + number)]
            terms = (("labels", 0.5, 1.0), (kind, 2.0, 0.1 + 0.2 * level + number))
            name = f"{kind[:3]} {level}"
            nodes.append(told_node(name, role, kind, level, losses, round=level, terms=terms))
    last = assistants + 1
    if len(kinds) > 1:
        terms = (("labels", 0.1, 0.3), ("response", 0.9, 0.6))
        losses = [0.9, 0.8]
        deployed = ("deployed", "deployed student", "all", last + 1, losses)
        nodes.append(told_node(*deployed, round=last + 1, terms=terms))
    names = ["initial", "teacher", *(f"level {m}" for m in range(1, last + 1))]
    turns = rounds or tuple(
        told_turn(name, 0.1 + 0.2 * number, kept=number != 2, coverage=0.15 * number)
        for number, name in enumerate(names)
    )
    return Chain(arm, {node.name: node for node in nodes}, turns)


def told_board(*chains):
    return Board({chain.arm: chain for chain in chains or [told_chain()]}, 32, 16)
