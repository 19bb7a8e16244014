r"""The scores that WISE is compared with: each is a matrix of weights over the exits.

$$u_k = \sum_{j \le k} W_{kj}\, z_j$$

Row k says what the cascade looks at after exit k.  Plain exits are the identity, the running sum
is all ones, WISE is fitted; what else the papers' scripts do differs only in the last row.
Source: spec/progressive.md 5.2 (variants), 5.3 (last exit) and 8.1 items 6 and 7.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from redistill.errors import ConfigError, RedistillError, nearest
from redistill.methods.fusion import COVIAR
from redistill.methods.wise import EXITS, exits, fit, fit_prefixes, order_of


@dataclass(frozen=True)
class Variant:
    """How a cascade scores a clip.

    Attributes:
        early: at every exit but the last: "wise" (fitted), "unit" (running sum), "plain" (the
            exit alone) or "none" (there is only the last exit).
        last: at the last exit: "same" as before it, or only the three final classifiers with
            weights "learned", "coviar" (2:1:1) or "unit".
        divided: by the number of exits that are summed, as some of the scripts do.
    """

    early: str
    last: str = "same"
    divided: bool = False


FINALS = slice(EXITS - 1, None, EXITS)  # where the networks' own final classifiers stand

VARIANTS = {
    "wise": Variant("wise"),
    "wise_3": Variant("wise", "learned"),  # WISE as released
    "wise_divided": Variant("wise", "learned", divided=True),  # the scripts' `main`
    "unit": Variant("unit"),
    "unit_3": Variant("unit", "unit"),  # "no scaling, no division" as released
    "divided": Variant("unit", divided=True),
    "divided_3": Variant("unit", "unit", divided=True),  # "no scaling" as released for UCF-101
    "plain": Variant("plain"),  # "no lateral connections" as released: ends on one network
    "plain_fused": Variant("plain", "coviar"),
    "fusion_211": Variant("none", "coviar"),
    "fusion_learned": Variant("none", "learned"),
}


@dataclass(frozen=True)
class Fitted:
    """What is learned, once for all variants.

    Attributes:
        prefixes: (12, 12) lower triangular, row k-1 for the first k exits.
        finals: (3,) of the networks' own final classifiers, in order.
    """

    prefixes: Tensor
    finals: Tensor


@dataclass(frozen=True)
class Ensemble:
    """One variant, fitted.

    Attributes:
        weights: (E, J); E is J, or 1 where there is only the last exit.
        scores: split to u (E, N, K).
    """

    weights: Tensor
    scores: Mapping[str, Tensor]


def ensembles(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    *,
    fit_on: str = "val",
    order: str = "coded",
    names: Iterable[str] = VARIANTS,
    **recipe: Any,
) -> dict[str, Ensemble]:
    """Return the named variants, what is learned in them fitted on one split only.

    Args:
        logits: split to (12, N, K), stacked in ``order``.
        labels: split to (N,) int64; those of ``fit_on`` are read and no others.
        fit_on: "val", or "train" as released (8.1 item 8).
        order: of the exits, "coded" or "text".
        names: of ``VARIANTS``.
        recipe: as ``learn``.

    Raises:
        ConfigError: an unknown variant.
        RedistillError: logits of another number of exits, or a split that is not there.
    """
    if fit_on not in logits or fit_on not in labels:
        raise RedistillError(
            f"WISE is to be fitted on {fit_on!r}, but there are logits of {sorted(logits)} and "
            f"labels of {sorted(labels)}; predict that split as well"
        )
    fitted = learn(logits[fit_on], labels[fit_on], **recipe)
    found = {name: weights(name, fitted, order=order) for name in names}
    return {
        name: Ensemble(w, {split: apply(w, z) for split, z in logits.items()})
        for name, w in found.items()
    }


def apply(weights: Tensor, logits: Tensor) -> Tensor:
    """Return the scores u (E, N, K) of weights (E, J) on logits (J, N, K)."""
    return torch.einsum("ej,jnk->enk", weights, logits)


def learn(logits: Tensor, labels: Tensor, **recipe: Any) -> Fitted:
    """Fit the weights of all prefixes and of the three final classifiers on these clips.

    How the authors found their three is not documented (5.3): here as any short prefix, without
    a penalty.

    Args:
        logits: (12, N, K).
        labels: (N,) int64.
        recipe: l1, l1_from, steps, lr of ``redistill.methods.wise.fit_prefixes``.
    """
    if len(logits) != len(exits()):
        raise RedistillError(f"WISE needs logits of {len(exits())} exits, got {len(logits)}")
    prefixes = fit_prefixes(logits, labels, **recipe)
    short = {name: recipe[name] for name in ("steps", "lr") if name in recipe}
    return Fitted(prefixes, fit(logits[FINALS], labels, l1=0.0, **short))


def weights(name: str, fitted: Fitted, *, order: str = "coded") -> Tensor:
    """Return the weights (E, 12) of a variant of ``VARIANTS``; E is 12 or 1.

    Raises:
        ConfigError: an unknown variant.
    """
    if name not in VARIANTS:
        raise ConfigError(
            f"unknown variant {name!r}; expected one of {', '.join(VARIANTS)}."
            f"{nearest(str(name), VARIANTS)}"
        )
    variant, learned = VARIANTS[name], fitted.prefixes
    ones = torch.ones_like(learned)
    matrix = {"wise": learned, "unit": ones.tril(), "plain": ones.diag().diag()}
    chosen = matrix["plain" if variant.early == "none" else variant.early].clone()
    summed = torch.arange(1, len(chosen) + 1, device=chosen.device)
    if variant.last != "same":
        coviar = ones.new_tensor([COVIAR[m] for m in order_of(order)])
        last = {"learned": fitted.finals, "coviar": coviar, "unit": ones[0, FINALS]}
        chosen[-1] = 0
        chosen[-1, FINALS] = last[variant.last]
        summed[-1] = len(coviar)
    if variant.divided:
        chosen = chosen / summed[:, None]
    return chosen[-1:] if variant.early == "none" else chosen


def weights_table(matrix: Tensor, order: str = "coded") -> pd.DataFrame:
    """Return weights (E, 12) one a line: columns after (number of exits), modality, exit, weight.

    Weights of exits that are not yet passed are left out.
    """
    names, rows = exits(order), len(matrix)
    lines = [
        (after, *names[j], matrix[after - 1 - len(names) + rows, j].item())
        for after in range(len(names) - rows + 1, len(names) + 1)
        for j in range(after)
    ]
    return pd.DataFrame(lines, columns=["after", "modality", "exit", "weight"])
