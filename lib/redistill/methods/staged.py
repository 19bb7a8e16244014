"""Staged distillation: branches of response, feature and relation, each a cascade, then combined.

Source: spec/substage.md 4, a reconstruction from the abstract and the framework figure.  Who
teaches whom is in ``branches``, the loss of an edge in ``edge_loss``, the labels in ``refine``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from redistill.methods.branches import (
    ALL,
    EdgePlan,
    Place,
    branch_loss,
    plan_edges,
    students,
    width_at,
)
from redistill.methods.combine import Combination, fit_combination
from redistill.methods.edge_loss import EdgeLoss
from redistill.methods.refine import (
    Refinement,
    SoftLabels,
    guarded,
    initial_labels,
    negatives,
    raw_labels,
    refine,
)
from redistill.methods.school import Learned, School
from redistill.nets.video import Taps

SHARE = 0.9  # of the response when an ensemble is distilled into one student (spec 7.4)
DEPLOYED = 900  # seed of the deployed student
_BRANCHES = ("res", "fea", "rel")  # a branch has the same seeds whatever others there are


@dataclass(frozen=True)
class Round:
    """Labels after one round, and why they are as they are.

    Attributes:
        labels: the labels.
        agreement: of the networks' mean with the trusted validation labels.
        kept: False where the guard put the labels of the round before back.
    """

    labels: SoftLabels
    agreement: float
    kept: bool


@dataclass(frozen=True)
class Staged:
    """What staged distillation gave.

    Attributes:
        networks: by (branch, level), the teacher at ("all", 0).
        students: branch to its student.
        combination: of the students.
        single: the one student that is deployed.
        rounds: labels at the start, after the teacher, and after each level.
        macs: of all training but the teacher's.
    """

    networks: Mapping[Place, Learned]
    students: Mapping[str, Learned]
    combination: Combination
    single: Learned
    rounds: tuple[Round, ...]
    macs: int


def settings(school: School) -> Refinement:
    """Return how labels are refined, as the config says."""
    config = school.config
    return Refinement(
        unc_kind=config.unc_kind,
        gate=config.gate,
        rho_sel=config.rho_sel,
        lam_max=config.lam_max,
        w_min=config.w_min,
        T_sharpen=config.sharpen,
        neg_labels=config.neg_labels,
    )


def first_rounds(school: School, teacher: Learned) -> tuple[Round, ...]:
    """Return the initial labels and those that the teacher refines, or makes without refinement."""
    start = initial_labels(school.weak, school.classes)
    rounds = (Round(start, 0.0, True),)
    if school.config.refinement:
        return (*rounds, next_round(school, rounds, (teacher,)))
    view = school.hear(teacher).logits[0].softmax(-1)
    made = raw_labels(school.weak, view)
    return (*rounds, Round(made, _agreement(school, (teacher,)), True))


def next_round(school: School, rounds: tuple[Round, ...], networks: tuple[Learned, ...]) -> Round:
    """Return labels refined by what networks say of all views, unless validation speaks against."""
    before, views = rounds[-1], _views(school, networks)
    made = refine(before.labels, school.weak, views, settings(school), round=len(rounds))
    now = _agreement(school, networks)
    if not school.config.label_guard or not before.agreement:
        return Round(made, now, True)
    labels, kept = guarded(before.labels, made, before.agreement, now, len(school.feeds.val_labels))
    return Round(labels, now if kept else before.agreement, kept)


def train_staged(school: School, teacher: Learned) -> Staged:
    """Train all branches level by level, combine their students, and distil them into one."""
    config = school.config
    networks: dict[Place, Learned] = {(ALL, 0): teacher}
    rounds = first_rounds(school, teacher)
    edges, macs = plan_edges(config), 0
    for level in dict.fromkeys(edge.level for edge in edges):
        now = [edge for edge in edges if edge.level == level]
        for edge in now:
            networks[edge.place] = _learn(school, edge, networks, rounds[-1].labels)
            macs += networks[edge.place].macs
        if config.refinement and config.refresh == "level":
            heard = tuple(networks[place] for place in [(ALL, 0), *(edge.place for edge in now)])
            rounds = (*rounds, next_round(school, rounds, heard))
    last = {kind: networks[place] for kind, place in students(config).items()}
    banks = [school.hear(each) for each in last.values()]
    combination = _combine(school, banks)
    single = _deploy(school, last, banks, combination, rounds[-1].labels)
    macs += single.macs if single not in last.values() else 0
    return Staged(networks, last, combination, single, rounds, macs)


def distil_into_one(
    school: School, target: Tensor, labels: SoftLabels, *, above: int, start: Learned | None = None
) -> Learned:
    """Train one student on the response of an ensemble.

    Args:
        school: of the fold.
        target: logits (V, N, K).
        labels: of the training clips.
        above: multiply-accumulates of the ensemble, for one clip.
        start: whose weights it starts from; fresh ones if not given.
    """
    bank = Taps(target, torch.zeros(*target.shape[:2], 1))
    loss = EdgeLoss(ce=1 - SHARE, terms=(("kd", SHARE),), temperature=school.config.temperature)
    feed = school.taught(labels, uppers=[school.target(bank)])
    net = start.net if start else None
    return school.student(feed, loss, seed=DEPLOYED, start=net, above=above)


def _learn(
    school: School, edge: EdgePlan, networks: Mapping[Place, Learned], labels: SoftLabels
) -> Learned:
    """Train one network of the cascade."""
    config = school.config
    loss = branch_loss(config, edge.kind)
    keep = config.fea_layers if loss.maps else 0
    uppers = []
    for place in edge.uppers:
        uppers.append(school.target(school.hear(networks[place], keep=keep)))
    partner = school.hear(networks[edge.partner]) if edge.partner else None
    number = _BRANCHES.index(edge.kind) if edge.kind != ALL else len(_BRANCHES)
    start = networks[edge.start].net if edge.start else None
    if config.cascade_init == "inherit":
        start = networks[edge.uppers[0]].net
    feed = school.taught(
        labels,
        pool=_pool(school, number),
        uppers=uppers,
        partner=partner,
        negatives=_negatives(school, networks, labels),
        turn=number if config.branch_data == "views" else 0,
    )
    above = sum(school.macs(networks[place].net) for place in edge.uppers)
    seed = 1000 * number + edge.level
    width = width_at(config, edge.place)
    return school.student(feed, loss, seed=seed, width=width, above=above, start=start)


def _pool(school: School, number: int) -> Tensor | None:
    """Return the clips that a branch sees: all, or its third (A9)."""
    if school.config.branch_data != "partition":
        return None
    generator = torch.Generator().manual_seed(school.config.seed)
    order = torch.randperm(len(school.train), generator=generator)
    return order[number % len(_BRANCHES) :: len(_BRANCHES)].sort().values


def _negatives(
    school: School, networks: Mapping[Place, Learned], labels: SoftLabels
) -> Tensor | None:
    if not school.config.neg_labels:
        return None
    return negatives(_views(school, (networks[ALL, 0],)), labels, settings(school))


def _views(school: School, networks: tuple[Learned, ...]) -> Tensor:
    """Return what networks say of all views of the training clips, probabilities (S, N, K)."""
    return torch.cat([school.hear(each).logits.softmax(-1) for each in networks])


def _agreement(school: School, networks: tuple[Learned, ...]) -> float:
    """Return the share of validation clips that the networks' mean gets right."""
    shares = torch.stack([school.ask(each, "val").logits.softmax(-1) for each in networks]).mean(0)
    return (shares.argmax(1) == school.feeds.val_labels).double().mean().item()


def _combine(school: School, banks: list[Taps]) -> Combination:
    trusted = school.trusted
    known = [bank.apply(lambda x: x.index_select(1, trusted)) for bank in banks]
    labels = torch.as_tensor(school.weak.initial)[trusted]
    return fit_combination(school.config.combine, known, labels)


def _deploy(
    school: School,
    last: Mapping[str, Learned],
    banks: list[Taps],
    combination: Combination,
    labels: SoftLabels,
) -> Learned:
    """Return the one student: distilled from the others, or the only one there is."""
    config = school.config
    if len(last) == 1:
        return next(iter(last.values()))
    above = sum(school.macs(each.net) for each in last.values())
    start = None
    if config.redistill_init == "best_branch":
        start = max(last.values(), key=lambda each: _agreement(school, (each,)))
    if config.deploy_from == "ensemble":
        return distil_into_one(school, combination(banks), labels, above=above, start=start)
    loss = EdgeLoss(
        ce=1 - SHARE,
        terms=(("kd", SHARE),),
        temperature=config.temperature,
        weighting=config.weighting,
    )
    feed = school.taught(labels, uppers=[school.target(bank) for bank in banks])
    net = start.net if start else None
    return school.student(feed, loss, seed=DEPLOYED, start=net, above=above)


def varied(school: School, changes: Mapping[str, object]) -> School:
    """Return the same fold under a config with changes."""
    return replace(school, config=replace(school.config, **changes))
