"""Who teaches whom: the edges of a staged cascade, as data.

Source: spec/substage.md 2.2 and 4.  Level 0 is the teacher, the last level the student.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redistill.methods.edge_loss import EdgeLoss

if TYPE_CHECKING:  # the config reads the arms, which stand beside this file
    from redistill.methods.substage import SubstageConfig

ALL = "all"  # an assistant of all branches
Place = tuple[str, int]  # branch, level


@dataclass(frozen=True)
class EdgePlan:
    """One network of a cascade and who teaches it.

    Attributes:
        kind: its branch, or ``all``.
        level: 1 is below the teacher.
        width: channels of its first stage.
        uppers: (branch, level) of its teachers.
        partner: of which network the correlation is measured to, if not the first upper.
        start: whose weights it starts from.
    """

    kind: str
    level: int
    width: int
    uppers: tuple[Place, ...]
    partner: Place | None = None
    start: Place | None = None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.kind, self.level


def plan_edges(config: "SubstageConfig") -> tuple[EdgePlan, ...]:
    """Return the edges of the cascade in the order of training, levels outermost."""
    if config.cascade == "sequential":
        return _sequence(config)
    last = config.n_assistants + 1
    found = []
    for level in range(1, last + 1):
        shared = config.branch_sharing == "assistants" and level < last
        for kind in (ALL,) if shared else config.kinds:
            first = 0 if config.cascade == "dense" else level - 1
            uppers = tuple(_place(config, kind, m) for m in range(level - 1, first - 1, -1))
            partner = None
            if config.corr_reading == "mismatch" and uppers[0] == (kind, level - 1) and level > 1:
                turn = config.kinds.index(kind) + 1
                partner = config.kinds[turn % len(config.kinds)], level - 1
            found.append(EdgePlan(kind, level, config.widths[level], uppers, partner))
    return tuple(found)


def _place(config: "SubstageConfig", kind: str, level: int) -> Place:
    if level == 0 or (config.branch_sharing == "assistants" and level <= config.n_assistants):
        return ALL, level
    return kind, level


def _sequence(config: "SubstageConfig") -> tuple[EdgePlan, ...]:
    """Return one student's way through the kinds, one after the other (arXiv 2601.15657)."""
    width, before, found = config.student_width, None, []
    for level, kind in enumerate(config.kinds, start=1):
        found.append(EdgePlan(kind, level, width, ((ALL, 0),), start=before))
        before = (kind, level)
    return tuple(found)


def students(config: "SubstageConfig") -> dict[str, Place]:
    """Return the students that are combined, by branch; a sequence has one."""
    if config.cascade == "sequential":
        return {config.kinds[-1]: (config.kinds[-1], len(config.kinds))}
    return {kind: (kind, config.n_assistants + 1) for kind in config.kinds}


def branch_loss(config: "SubstageConfig", kind: str) -> EdgeLoss:
    """Return the loss of an edge of one branch, or of an assistant of all (spec 7.1)."""
    knowledge = {
        "res": ("kd", config.lam),
        "fea": (config.fea_kind, config.beta_fea),
        "rel": (config.rel_kind, config.beta_rel),
    }
    kinds = config.kinds if kind == ALL else (kind,)
    terms = tuple(knowledge[each] for each in kinds)
    if config.fd_gamma:
        terms += ((config.fd_kind, config.fd_gamma),)
    ce = 1 - config.lam if "res" in kinds else float(config.ce_in_branch)
    return EdgeLoss(
        ce=ce,
        terms=terms,
        correlation="pearson" if config.corr_reading == "pearson" else "pair",
        rho=config.rho_cor,
        temperature=config.temperature,
        negative=float(config.neg_labels),
    )


def training_macs(config: "SubstageConfig", macs: dict[int, int]) -> int:
    """Return the multiply-accumulates that all edges and the deployed student take in training.

    A step passes a batch three times through the network that learns (forwards, and backwards for
    its inputs and its weights) and once through those above it.

    Args:
        config: of the cascade.
        macs: width to the cost of one clip.
    """
    total = 0
    for edge in plan_edges(config):
        above = sum(macs[width_at(config, place)] for place in edge.uppers)
        total += 3 * macs[edge.width] + above
    if len(students(config)) > 1:  # else the only student is the one deployed
        total += (3 + len(config.kinds)) * macs[config.student_width]
    return total * config.steps * config.batch


def width_at(config: "SubstageConfig", place: Place) -> int:
    """Return the width of the network at a place of the cascade."""
    if config.cascade == "sequential" and place[1]:
        return config.student_width
    return config.widths[place[1]]
