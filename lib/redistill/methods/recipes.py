"""The methods of notebook 1, as data: single students, ensembles of them, and staged variants.

Source: spec/substage.md 11 (B1 to B22) and 9 (A1 to A16).  How an edge is trained is in
``redistill.methods.school``; how a cascade is, in ``redistill.methods.staged``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = {"res": "response", "fea": "feature", "rel": "relation"}


@dataclass(frozen=True, kw_only=True)
class Single:
    """One student, taught by the teacher or by labels alone.

    Attributes:
        terms: losses to the teacher, (name in ``edge_loss.TERMS``, weight); a weight may name a
            parameter of the config.
        ce: weight of the labels, or the parameter ``1-lam``.
        labels: ``trusted`` alone, ``raw`` pseudo-labels besides, ``refined`` ones, or ``true``.
        students: how many, of different seeds, whose mean counts.
        budget: ``staged``: together as many multiply-accumulates of training as the staged
            method; a team leaves out those of the one student distilled from it.
        source: baseline of spec/substage.md 11.
    """

    terms: tuple[tuple[str, float | str], ...] = ()
    ce: float | str = 1.0
    labels: str = "refined"
    students: int = 1
    budget: str = "one"
    source: str = ""


_KD = {"terms": (("kd", "lam"),), "ce": "1-lam"}

SINGLES: Mapping[str, Single] = {
    "trusted": Single(labels="trusted", source="B1"),
    "raw": Single(labels="raw", source="B2"),
    "refined": Single(source="B3"),
    "supervised": Single(labels="true", source="B4"),
    "kd": Single(**_KD, source="B7"),
    "fitnet": Single(terms=(("fitnet", 1.0),), source="B8"),
    "at": Single(terms=(("at", 1.0),), source="B9"),
    "sp": Single(terms=(("sp", 1.0),), source="B10"),
    "rkd": Single(terms=(("rkd", 0.02),), source="B11"),  # its own weights are 25 and 50
    "pkt": Single(terms=(("pkt", 1.0),), source="B12"),
    "reviewkd": Single(terms=(("reviewkd", 1.0),), source="B13"),
    "dkd": Single(terms=(("dkd", 0.5),), source="B14"),
    "standardised": Single(terms=(("standardised", 9.0),), ce=0.1, source="Sun et al. 2024"),
    "joint": Single(
        terms=(("kd", "lam"), ("norm_mse", "beta_fea"), ("sp", "beta_rel")),
        ce="1-lam",
        source="B15",
    ),
    "ce3_ens": Single(students=3, source="B19"),
    "kd3_ens": Single(**_KD, students=3, source="B20"),
    "kd3_equal_ens": Single(**_KD, students=3, budget="staged", source="B20, at equal cost"),
    "kd_long": Single(**_KD, budget="staged", source="B22"),
}
DISTILLED = {"kd3_single": "kd3_ens", "kd3_equal_single": "kd3_equal_ens"}  # B21: of which team
OTHERS = {
    **{name: f"B21: {team}, distilled into one student" for name, team in DISTILLED.items()},
    "stagewise": "B18: one stage of the network after another",
}

# Variants of the staged method: what differs from the config.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "staged": {},
    "staged_m0": {"n_assistants": 0},
    "staged_m1": {"n_assistants": 1},
    "staged_m2": {"n_assistants": 2},
    "staged_m3": {"n_assistants": 3},
    "takd": {"kinds": ("res",), "fd_gamma": 0.0, "rho_cor": 0.0, "refresh": "once"},  # B16
    "staged_dense": {"cascade": "dense"},
    "staged_sequential": {"cascade": "sequential"},
    "staged_inherit": {"cascade_init": "inherit"},
    "staged_shared": {"branch_data": "shared"},
    "staged_partition": {"branch_data": "partition"},
    "staged_assistants": {"branch_sharing": "assistants"},
    "staged_noce": {"ce_in_branch": False},
    "staged_fitnet": {"fea_kind": "fitnet"},
    "staged_at": {"fea_kind": "at"},
    "staged_nst": {"fea_kind": "nst"},
    "staged_layers": {"fea_layers": 4},
    "staged_rkd": {"rel_kind": "rkd", "beta_rel": 0.02},
    "staged_cka": {"rel_kind": "cka"},
    "staged_pkt": {"rel_kind": "pkt"},
    "staged_cc": {"rel_kind": "cc"},
    "staged_nocor": {"rho_cor": 0.0},
    "staged_mismatch": {"corr_reading": "mismatch"},
    "staged_pearson": {"corr_reading": "pearson"},
    "staged_nofd": {"fd_gamma": 0.0},
    "staged_fd_class": {"fd_kind": "gauss_class"},
    "staged_fd_mmd": {"fd_kind": "mmd"},
    "staged_fd_swd": {"fd_kind": "swd"},
    "staged_fd_lgm": {"fd_kind": "lgm"},
    "staged_fd_pkt": {"fd_kind": "pkt"},
    "staged_view": {"kd_target": "view"},
    "staged_unrefined": {"refinement": False},
    "staged_once": {"refresh": "once"},
    "staged_entropy": {"unc_kind": "entropy"},
    "staged_std": {"unc_kind": "std"},
    "staged_gate": {"gate": "absolute"},
    "staged_negative": {"neg_labels": True},
    "staged_noguard": {"label_guard": False},
    "staged_learned": {"combine": "learned"},
    "staged_concat": {"combine": "feat_concat"},
    "staged_branches": {"deploy_from": "branches"},
    "staged_fd": {"deploy_from": "branches", "weighting": "fd"},
    "staged_uncertainty": {"deploy_from": "branches", "weighting": "uncertainty"},
    "staged_best": {"redistill_init": "best_branch"},
    "staged_teacher": {"teacher_labels": "full"},
}

ARMS = (*SINGLES, *OTHERS, *VARIANTS)
QUICK = ("trusted", "kd", "joint", "kd3_ens", "kd3_single", "staged_m0", "staged")
DECIDING = (
    "trusted", "raw", "refined", "kd", "fitnet", "at", "sp", "rkd", "dkd", "joint", "kd3_ens",
    "kd3_single", "staged",
)  # fmt: skip
