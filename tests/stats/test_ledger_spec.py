"""The ledger has every claim of the specification, with its arms, direction, data and deciders.

The table below was copied by hand from the list of claims, not from claims.toml.
"""

import pytest

from redistill.claims import load_claims

SYNTHETIC = {"SL", "CR", "ML"}
SPEC = {  # id: (direction, rule, data, words that its test and control must name)
    "S1": (
        "greater",
        "superiority",
        "SL CR ML W U",
        "deployed KD FitNets AT SP RKD DKD validation",
    ),
    "S2": ("greater", "superiority", "SL CR", "three losses one student"),
    "S3": ("greater", "superiority", "SL CR", "ensemble three KD students cost"),
    "S4": ("greater", "superiority", "SL CR", "best branch validation pair"),
    "S5": ("greater", "superiority", "SL CR", "no correlation wrongly"),
    "S6": ("greater", "superiority", "SL CR", "assistant equal compute three gaps"),
    "S7": ("greater", "superiority", "SL ML W", "final initial labels"),
    "S8": ("greater", "superiority", "SL ML W", "raw labels no distillation"),
    "S9": ("greater", "superiority", "SL CR", "alignment distance fixed equal weights"),
    "S10": ("greater", "superiority", "SL ML", "five KD trusted"),
    "S11": ("greater", "superiority", "SL CR", "five methods four pairs"),
    "F1": ("greater", "superiority", "ML CR W", "spectrum alone"),
    "F2": ("greater", "superiority", "ML CR SL", "lambda = 0 lambda = 1 MSE"),
    "F3": ("greater", "superiority", "CR ML", "varying constant all bins itself"),
    "F4": ("greater", "equivalence", "ML CR", "amplitudes reversed"),
    "F5": ("greater", "superiority", "CR SL", "without another stage"),
    "F6": ("greater", "superiority", "CR ML SL", "noise fixed pair each loss alone"),
    "F7": ("greater", "superiority", "CR ML W U paper", "whole KD FitNets AT SP DKD"),
    "F8": ("greater", "superiority", "ML SL", "frame by frame attention"),
    "F9": ("less", "equivalence", "any", "plain student"),
    "P1": ("less", "order", "SL W ML paper", "equal training loss at the end"),
    "P2": ("less", "superiority", "SL CR ML", "all networks internal classifiers"),
    "P3": ("greater", "superiority", "SL ML W U paper", "PKD cross-entropy epochs schedule"),
    "P4": ("greater", "superiority", "SL ML", "order random"),
    "P5": ("greater", "superiority", "SL ML", "last teacher mean of the three"),
    "P6": ("less", "superiority", "SL W", "PKD cross-entropy I-frame"),
    "P7": ("greater", "superiority", "SL ML", "reverse both worlds"),
    "P8": ("greater", "superiority", "SL ML W paper", "unit plain fused 2:1:1"),
    "P9": ("greater", "superiority", "SL ML", "twelve three held-out"),
    "P10": ("less", "ratio", "SL W", "weights network without exits"),
    "P11": ("greater", "superiority", "SL", "compute of PKD"),
    "P12": ("less", "superiority", "SL CR", "alike different"),
    "P13": ("less", "superiority", "SL W", "other clips modality architecture"),
    "P14": ("greater", "superiority", "SL CR W paper", "3D transformer 24 H.264"),
    "P15": ("greater", "ratio", "SL W paper", "test clips validation"),
    "G1": ("greater", "superiority", "SL CR ML W U paper", "fusion best single"),
    "G2": ("greater", "superiority", "SL CR ML W U paper", "I-frame residual"),
    "G3": ("greater", "superiority", "SL CR ML W U paper", "residual motion"),
}
MARGINS = {"S7": 0.5, "S11": 0.0, "P1": 0.0, "P2": 0.0, "P6": 0.0, "P10": 0.01, "P12": 0.0,
           "P15": 0.8}  # fmt: skip
CONFIDENCE = {"P2": "low", "P3": "high", "P8": "high", "P14": "medium", "P15": "high"}
UNTESTABLE = {"S1", "F1", "P1", "P2", "P3", "P8", "P14"}
PAPERS = {"S": "substage", "F": "spectrum", "P": "progressive", "G": "ground"}
CLAIMS = {claim.id: claim for claim in load_claims()}


def test_no_claim_is_missing_and_none_is_invented():
    assert set(CLAIMS) == set(SPEC)
    assert sum(name[0] in "SFPG" for name in SPEC) == 35 + 3


@pytest.mark.parametrize("name", SPEC)
def test_a_claim_is_tested_as_it_is_specified(name):
    direction, rule, data, words = SPEC[name]
    claim = CLAIMS[name]
    assert claim.paper == PAPERS[name[0]]
    assert (claim.direction, claim.rule) == (direction, rule)
    assert set(claim.data) == set(data.split())
    assert claim.margin == MARGINS.get(name, 1.0)
    assert claim.confidence == CONFIDENCE.get(name, "")
    assert bool(claim.untestable) == (name in UNTESTABLE)
    said = f"{claim.test} {claim.control} {claim.metric}".lower()
    assert not [word for word in words.lower().split() if word not in said]
    assert claim.contrasts  # every claim can be filled by rows


def test_several_controls_must_all_be_beaten_where_the_specification_says_each():
    """One contrast against the best of several would let the weaker of two controls stand in."""
    several = {name: len(claim.contrasts) for name, claim in CLAIMS.items()}
    assert [several[name] for name in ("S3", "S5", "S10", "F1", "P6")] == [2] * 5
    assert (several["F6"], several["P8"], several["S4"], several["P1"]) == (3, 4, 4, 4)
    assert all(several[name] == 1 for name in ("S1", "F7", "P4", "P5"))  # best, by validation


def test_printed_values_are_those_of_the_papers():
    printed = {
        (name, entry["data"]): entry["value"]
        for name, claim in CLAIMS.items()
        for entry in claim.printed
    }
    assert printed == {
        ("P3", "UCF-101"): 5.87, ("P3", "HMDB-51"): 11.42, ("P8", "UCF-101"): 4.28,
        ("P8", "HMDB-51"): 9.30, ("G1", "UCF-101"): 90.5 - 87,
        ("G1", "HMDB-51"): pytest.approx(59.2 - 52),
        ("G2", "UCF-101"): 87 - 80, ("G2", "HMDB-51"): 52 - 43, ("G3", "UCF-101"): 80 - 70,
        ("G3", "HMDB-51"): 43 - 40,
    }  # fmt: skip
