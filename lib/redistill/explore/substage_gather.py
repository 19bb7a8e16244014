"""The tables of the substage board, looked up or measured once, before anything is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from redistill.errors import RedistillError
from redistill.explore.substage_board import SYMBOLS, Board, Chain, Node, Term, Turn
from redistill.explore.substage_lessons import DEPLOYED, NOISE, TEACHER, Lesson, Part, lessons
from redistill.explore.substage_shares import draw, measure, shares
from redistill.feeds import Feeds
from redistill.methods.branches import ALL, width_at
from redistill.methods.label_quality import LabelQuality, label_quality
from redistill.methods.recipes import KINDS, VARIANTS
from redistill.methods.school import Learned, School
from redistill.methods.staged import Round, Staged
from redistill.methods.substage import SubstageConfig
from redistill.methods.substage_study import SubstageStudy
from redistill.modality import RGB
from redistill.video.weak_labels import WeakLabels

_GIVEN = ("labels", "negative labels", NOISE)  # terms that compare no networks


def board_of(
    config: SubstageConfig,
    study: SubstageStudy,
    feeds: Feeds,
    weak: WeakLabels,
    *,
    classes: int,
    device: str,
    batches: int = 1,
) -> Board:
    """Measure the terms of all losses, and look up all else.

    Args:
        config: of the run.
        study: of a fold.
        feeds: of the same fold.
        weak: of the same fold; its sealed labels stay sealed, the study has read them.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        batches: of training clips that the terms are measured on.

    Raises:
        RedistillError: no staged arm, or the feeds of another fold.
    """
    if not study.cascades:
        named = ", ".join(name for name in study.arms if name != TEACHER) or "none"
        raise RedistillError(
            f"the substage board shows staged arms, and fold {study.fold} trained {named}; "
            "name one in `arms` or `also` (staged, staged_m0, ...)"
        )
    train = feeds.train[RGB]
    if len(train) != len(study.truth):
        raise RedistillError(
            f"feeds of {len(train)} training clips beside a study of {len(study.truth)}; give "
            "the feeds of the study's own fold"
        )
    hidden = replace(train, labels=torch.as_tensor(weak.initial))
    school = School(
        config=config, train=hidden, feeds=feeds, weak=weak, classes=classes, device=device
    )
    samples, heard, chains = draw(school, batches=batches), _heard(study), {}
    for arm, found in study.cascades.items():
        own = replace(school, config=replace(config, **VARIANTS[arm]))  # ``said`` is shared
        given = lessons(own, found, study.truth)
        values = measure(given, found, samples, own.config)
        nodes = {one.name: _node(own, one, values[one.name], heard) for one in given}
        chains[arm] = Chain(arm, nodes, _turns(found, study))
    return Board(chains, sum(len(one.chosen) for one in samples), len(feeds.val_labels))


def _heard(study: SubstageStudy) -> dict[str, Tensor]:
    """Return what is known of what networks say of validation clips, by the key of their phase."""
    known = {}
    for arm, found in study.cascades.items():
        own = {f"{arm}_{kind}": each for kind, each in found.students.items()}
        for name, each in (own | {f"{arm}_single": found.single}).items():
            if name in study.arms:
                known[each.key] = study.arms[name].logits["val"]
    return known


def _node(
    school: School, one: Lesson, values: Sequence[float], heard: Mapping[str, Tensor]
) -> Node:
    config, last = school.config, _last(school.config)
    branch, _, level = one.name.partition(" ")
    column = {TEACHER: 0, DEPLOYED: last + 1}.get(one.name) if not level else int(level)
    parts = zip(one.parts, values, shares(values), strict=True)
    return Node(
        name=one.name,
        role=_role(config, one.name),
        branch=KINDS.get(branch, ALL),
        column=column,
        width=width_at(config, (branch, min(column, last))),
        teachers=_teachers(config, one),
        losses=tuple(line["loss"] for line in one.learned.journal),
        accuracy=_accuracy(school, one.learned, heard),
        round=one.round,
        terms=tuple(Term(p.slot, p.name, p.weight, value, share) for p, value, share in parts),
        formula=formula(one.parts),
    )


def _last(config: SubstageConfig) -> int:
    """Return the last level of a cascade, that of the students."""
    return len(config.kinds) if config.cascade == "sequential" else config.n_assistants + 1


def _role(config: SubstageConfig, name: str) -> str:
    if name in (TEACHER, DEPLOYED):
        return {TEACHER: "teacher", DEPLOYED: "deployed student"}[name]
    level = int(name.split()[1])
    below = config.cascade == "sequential" or level > config.n_assistants
    return "student" if below else f"assistant {level} of {config.n_assistants}"


def _teachers(config: SubstageConfig, one: Lesson) -> str:
    if one.name == DEPLOYED:
        together = ", combined" if config.deploy_from == "ensemble" else ", each for itself"
        return f"the students of all branches{together}"
    names = [
        TEACHER if not level else _role(config, f"{kind} {level}") for kind, level in one.uppers
    ]
    return " and ".join("the teacher" if name == TEACHER else name for name in names)


def _accuracy(school: School, learned: Learned, heard: Mapping[str, Tensor]) -> float:
    """Return the share of validation clips that a network gets right; who is not heard is asked."""
    known = heard.get(learned.key)
    logits = school.ask(learned, "val").logits if known is None else known
    return (logits.argmax(1) == school.feeds.val_labels).double().mean().item()


def _turns(found: Staged, study: SubstageStudy) -> tuple[Turn, ...]:
    names = ("initial", "teacher", *(f"level {m}" for m in range(1, len(found.rounds) - 1)))
    known = bool(study.trusted.all())
    truth, trusted = study.truth.numpy(), study.trusted.numpy()

    def quality(each: Round) -> LabelQuality | None:
        return None if known else label_quality(each.labels, truth, trusted=trusted)

    return tuple(
        Turn(name, each.kept, quality(each)) for name, each in zip(names, found.rounds, strict=True)
    )


def formula(parts: Sequence[Part]) -> str:
    """Return a loss as mathtext, weights as the config has them, each term at its slot's symbol."""
    noisy = any(part.slot == NOISE for part in parts)
    lines = []
    for part in parts:
        weight = "" if part.weight == 1 else rf"{part.weight:.3g}\,"
        scale = r"e^{-s}\," if noisy and part.slot not in _GIVEN else ""
        lines.append(f"{weight}{scale}{SYMBOLS[part.slot]}")
    return f"$L = {' + '.join(lines) or '0'}$"
