"""Tables of notebook 1: the cascade as planned, and what every method, branch and round gave.

Folds are pooled clip by clip, as ``redistill.exit_scores`` does it.
"""

from collections.abc import Sequence

import pandas as pd
import torch

from redistill.cost import count
from redistill.method_table import method_table as method_table_of
from redistill.methods.branches import ALL, Place, branch_loss, plan_edges, students
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.label_quality import SoftLabels, label_quality, label_table
from redistill.methods.recipes import KINDS, VARIANTS
from redistill.methods.staged import SHARE
from redistill.methods.substage import SubstageConfig
from redistill.methods.substage_study import SubstageStudy
from redistill.nets.video import build_video

FIRST = ("staged_single", "kd", "joint", "kd3_single", "staged_ens", "kd3_ens")  # what decides
WHOLE = {"ens": "all, combined", "single": "deployed"}  # what is made of all branches

# What the paper leaves open, and the parameters that decide it.  Source: spec/substage.md 9.
AMBIGUITIES = (
    ("A1", "What is a substage?", ("kinds",)),
    ("A2", "What does the teacher learn from?", ("teacher_labels",)),
    ("A3", "How are students combined?", ("combine", "deploy_from", "redistill_init")),
    ("A4", "What is the correlation of substages?", ("corr_reading", "rho_cor")),
    ("A5", "What is complementary?", ("neg_labels",)),
    ("A6", "What is the progressive cascade?", ("cascade", "cascade_init", "n_assistants")),
    ("A7", "What does the distribution of features do?", ("fd_kind", "fd_gamma", "weighting")),
    ("A8", "What are simulated data?", ("dataset", "noise_rate")),
    ("A9", "Do the branches see different inputs?", ("branch_data",)),
    ("A10", "What is an initial label?", ("weak_mode",)),
    ("A11", "Do branches share assistants?", ("branch_sharing",)),
    ("A12", "Does the student see the teacher itself?", ("cascade",)),
    ("A13", "Do all branches see labels?", ("ce_in_branch",)),
    ("A14", "Which features are compared?", ("fea_layers", "fea_kind", "rel_kind")),
    ("A15", "What is uncertainty?", ("unc_kind", "gate", "weighting")),
    ("A16", "When are labels refined?", ("refinement", "refresh", "label_guard")),
)  # fmt: skip


def cascade_table(config: SubstageConfig) -> pd.DataFrame:
    """Return the networks of the cascade in the order of training, as ``plan_edges`` has them.

    Returns:
        Columns name; role (teacher, assistant, student, combination, deployed); branch; level;
        width (none for the combination); taught_by, partner, start (names, "" for none); loss.
    """
    lines = [("teacher", "teacher", ALL, 0, config.teacher_width, "", "", "", "1 labels")]
    last = [_name(place) for place in students(config).values()]
    for edge in plan_edges(config):
        taught = ", ".join(map(_name, edge.uppers))
        partner, start = (_name(x) if x else "" for x in (edge.partner, edge.start))
        below = config.cascade == "sequential" or edge.level > config.n_assistants
        who = edge.kind, edge.level, edge.width
        loss = loss_text(branch_loss(config, edge.kind))
        role = "student" if below else "assistant"
        lines.append((_name(edge.place), role, *who, taught, partner, start, loss))
    if len(last) > 1:
        level, width = config.n_assistants + 2, config.student_width
        together = ", ".join(last)
        kind = config.combine
        lines.append(("combination", "combination", ALL, level, None, together, "", "", kind))
        above = "combination" if config.deploy_from == "ensemble" else together
        loss = loss_text(EdgeLoss(ce=1 - SHARE, terms=(("kd", SHARE),)))
        lines.append(("deployed", "deployed", ALL, level + 1, width, above, "", "", loss))
    columns = "name", "role", "branch", "level", "width", "taught_by", "partner", "start", "loss"
    return pd.DataFrame(lines, columns=list(columns), dtype=object)


def _name(place: Place) -> str:
    return f"{place[0]} {place[1]}" if place[1] else "teacher"


def loss_text(loss: EdgeLoss) -> str:
    """Return the terms of a loss with their weights, those of weight 0 left out."""
    correlation = (loss.correlation, loss.rho)
    terms = (("labels", loss.ce), *loss.terms, correlation, ("negative labels", loss.negative))
    return " + ".join(f"{weight:.3g} {name}" for name, weight in terms if weight)


def network_table(config: SubstageConfig, *, classes: int) -> pd.DataFrame:
    """Return the networks: columns role, network, width, parameters, macs (of one clip)."""
    used = {config.teacher_width, *(edge.width for edge in plan_edges(config))}
    roles = ["teacher", *(f"assistant {m}" for m in range(1, config.n_assistants + 1)), "student"]
    lines = []
    for role, width in zip(roles, config.widths, strict=True):
        name = config.teacher_network if role == "teacher" else config.network
        if width in used:
            net = build_video(name, width=width, classes=classes, frames=config.frames, seed=0)
            cost = count(net, (1, config.frames, 3, config.size, config.size))
            lines.append((role, name, width, cost.parameters, cost.macs))
    return pd.DataFrame(lines, columns=["role", "network", "width", "parameters", "macs"])


def method_table(studies: Sequence[SubstageStudy]) -> pd.DataFrame:
    """Return ``redistill.method_table``, what decides the claims first, cost in KD students."""
    return method_table_of(studies, first=FIRST, unit="kd")


def branch_table(methods: pd.DataFrame) -> pd.DataFrame:
    """Return the branches alone, in pairs, combined, and the student made of them.

    Returns:
        Columns method (``staged``, ``staged_m0``), branches, split, accuracy, low, high, n.
    """
    lines = []
    for row in methods.itertuples():
        method = "staged_m0" if row.arm.startswith("staged_m0_") else "staged"
        rest = row.arm.removeprefix(f"{method}_")
        if is_part(row.arm) or row.arm in (f"{method}_ens", f"{method}_single"):
            branches = WHOLE.get(rest, rest.replace("_", " + "))
            ends = row.split, row.accuracy, row.low, row.high, row.n
            lines.append((method, branches, *ends))
    names = ["method", "branches", "split", "accuracy", "low", "high", "n"]
    table = pd.DataFrame(lines, columns=names)
    rank = {name: place for place, name in enumerate(WHOLE.values(), start=len(KINDS))}
    order = table["branches"].map(lambda name: rank.get(name, name.count("+")))
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def is_part(arm: str) -> bool:
    """Whether an arm is some, not all, of the branches of a staged method."""
    rest = arm.removeprefix("staged_").removeprefix("m0_")
    return rest != arm and set(rest.split("_")) <= set(KINDS)


def rounds_table(studies: Sequence[SubstageStudy]) -> pd.DataFrame:
    """Return how good the labels are after each round, folds pooled clip by clip.

    Returns:
        Columns labels (initial, teacher, level 1 ...), kept (False where the guard put the labels
        of the round before back in some fold), then those of ``LabelQuality``; empty where every
        clip is trusted.
    """
    trusted = torch.cat([study.trusted for study in studies]).numpy()
    truth = torch.cat([study.truth for study in studies]).numpy()
    rounds = list(zip(*(study.rounds for study in studies), strict=True))
    pooled = [] if trusted.all() else [_pool([each.labels for each in row]) for row in rounds]
    table = label_table([label_quality(each, truth, trusted=trusted) for each in pooled])
    names = ["initial", "teacher", *(f"level {m}" for m in range(1, len(rounds) - 1))]
    table["round"] = range(len(table))
    table.insert(0, "kept", [all(each.kept for each in row) for row in rounds][: len(table)])
    table.insert(0, "labels", names[: len(table)])
    return table


def _pool(parts: Sequence[SoftLabels]) -> SoftLabels:
    columns = zip(*((x.q, x.w, x.selected, x.uncertainty) for x in parts), strict=True)
    return SoftLabels(*map(torch.cat, columns), round=parts[0].round)


def assistants_table(methods: pd.DataFrame, config: SubstageConfig) -> pd.DataFrame:
    """Return test accuracy by the number of assistants.

    Returns:
        Columns assistants, what (combined or deployed), arm, accuracy, low, high, relative.
    """
    numbers = {
        name: x["n_assistants"] for name, x in VARIANTS.items() if set(x) == {"n_assistants"}
    }
    test = methods[methods["split"] == "test"].set_index("arm")
    lines = []
    for name, number in (numbers | {"staged": config.n_assistants}).items():
        for end, what in (("ens", "combined"), ("single", "deployed")):
            if (arm := f"{name}_{end}") in test.index:
                row = test.loc[arm]
                lines.append((number, what, arm, *row[["accuracy", "low", "high", "relative"]]))
    names = ["assistants", "what", "arm", "accuracy", "low", "high", "relative"]
    table = pd.DataFrame(lines, columns=names)
    table = table.drop_duplicates(["assistants", "what"], keep="last")
    return table.sort_values(["what", "assistants"]).reset_index(drop=True)


def ambiguity_table(config: SubstageConfig) -> pd.DataFrame:
    """Return what the paper leaves open: columns id, question, here, arms that decide otherwise."""
    lines = []
    for name, question, parameters in AMBIGUITIES:
        here = "; ".join(f"{each} = {getattr(config, each)}" for each in parameters)
        arms = [arm for arm, changes in VARIANTS.items() if set(changes) & set(parameters)]
        arms = [arm for arm in arms if arm != "takd"]  # a baseline, which changes many at once
        arms += ["stagewise"] if name == "A1" else []  # substages of depth
        lines.append((name, question, here, ", ".join(arms) or "a run of its own"))
    return pd.DataFrame(lines, columns=["id", "question", "here", "arms"])
