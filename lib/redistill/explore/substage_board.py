"""What the substage board shows, as data: networks of staged arms, and their rounds of labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from redistill.explore.substage_lessons import NOISE
from redistill.methods.branches import ALL
from redistill.methods.label_quality import LabelQuality

SYMBOLS = {  # of the terms, in the order in which they are drawn
    "labels": "L_{ce}", "response": "D_{res}", "feature": "D_{fea}", "relation": "D_{rel}",
    "distribution": "L_{fd}", "correlation": "L_{cor}", "negative labels": "L_{neg}",
    NOISE: r"\bar{s}",
}  # fmt: skip


@dataclass(frozen=True)
class Term:
    """A term of a loss at the end of training: its weight in, its value times it, its share."""

    slot: str
    name: str
    weight: float
    value: float
    share: float


@dataclass(frozen=True)
class Node:
    """One network of a cascade.

    Attributes:
        name: as ``substage_tables.cascade_table`` names it.
        role: in words, as ``assistant 1 of 2``.
        branch: response, feature, relation, or ``all``.
        column: 0 the teacher, then the levels, then the deployed student.
        width: channels of its first stage.
        teachers: who taught it, in words; "" for the teacher.
        losses: mean training loss of each epoch, as its journal has it.
        accuracy: share of validation clips that it gets right in the end.
        round: of the labels that it learned from.
        terms: of its loss, measured when its training was over.
        formula: of its loss, as mathtext.
    """

    name: str
    role: str
    branch: str
    column: int
    width: int
    teachers: str
    losses: tuple[float, ...]
    accuracy: float
    round: int
    terms: tuple[Term, ...]
    formula: str


@dataclass(frozen=True)
class Turn:
    """A round of labels: its name, whether it was kept, and how good it is (None: all trusted)."""

    name: str
    kept: bool
    quality: LabelQuality | None


@dataclass(frozen=True)
class Chain:
    """What one staged arm trained: its networks by name, in order, and its rounds of labels."""

    arm: str
    nodes: Mapping[str, Node]
    rounds: tuple[Turn, ...]

    @property
    def branches(self) -> tuple[str, ...]:
        """Its branches; of a sequence, one for each kind in turn."""
        return tuple(
            dict.fromkeys(node.branch for node in self.nodes.values() if node.branch != ALL)
        )

    def along(self, branch: str) -> dict[str, Node]:
        """Return the networks of a branch from the teacher down, by role."""
        return {n.role: n for n in self.nodes.values() if n.branch in (branch, ALL)}


@dataclass(frozen=True)
class Board:
    """All staged arms of one fold, how many clips their shares and accuracies are measured on."""

    chains: Mapping[str, Chain]
    clips: int
    val_clips: int

    @property
    def first(self) -> str:
        """The arm that is shown first: the method itself, where it was trained."""
        return "staged" if "staged" in self.chains else next(iter(self.chains))


def board_table(chain: Chain) -> pd.DataFrame:
    """Return a line for each network: who taught it, how it went, and what its loss is made of.

    Returns:
        Columns network, taught_by, round, epochs, first_loss, last_loss, validation (share), and
        the share of each term that any loss of the arm has (None where a loss lacks it).
    """
    slots = [s for s in SYMBOLS if any(t.slot == s for n in chain.nodes.values() for t in n.terms)]
    lines = []
    for node in chain.nodes.values():
        own = {term.slot: term.share for term in node.terms}
        journal = len(node.losses), node.losses[0], node.losses[-1], node.accuracy
        line = node.name, node.teachers, node.round, *journal, *(own.get(s) for s in slots)
        lines.append(line)
    names = ["network", "taught_by", "round", "epochs", "first_loss", "last_loss", "validation"]
    return pd.DataFrame(lines, columns=[*names, *(slot.replace(" ", "_") for slot in slots)])
