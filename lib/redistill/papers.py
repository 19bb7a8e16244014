"""The papers whose claims are judged; a claim, a heading and a choice name them by their key."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One paper, or the baseline that the others start from.

    Attributes:
        short: its name in tables.
        title: its heading in the index.
        about: what it proposes, in a few words.
        arxiv: its number, or "".
    """

    short: str
    title: str
    about: str
    arxiv: str = ""


PAPERS: Mapping[str, Paper] = {
    "ground": Paper(
        "Baseline", "The baseline", "Three networks on compressed video and their late fusion"
    ),
    "substage": Paper(
        "Substage KD", "Substage distillation", "Staged knowledge distillation", "2307.05201"
    ),
    "spectrum": Paper(
        "Spectrum KD", "Spectrum distillation", "Temporal and parameter frequencies", "2009.06902"
    ),
    "progressive": Paper(
        "Progressive KD", "Progressive distillation", "PKD, WISE and flat minima", "2407.02713"
    ),
}
