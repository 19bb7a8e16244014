"""Drawn logits of all exits of folds, and what a slow loop makes of them."""

import math

import torch

from redistill.exit_scores import FoldExits

MODALITIES = ("residual", "mv", "iframe")  # as coded
MACS = {"residual": (10, 20, 30, 40), "mv": (11, 22, 33, 44), "iframe": (50, 100, 150, 200)}
TIMES = {"residual": (1.0, 2.0, 3.0, 4.0), "mv": (1.5, 2.5, 3.5, 5.0), "iframe": (7, 8, 9, 11)}


def drawn_fold(number=0, *, clips=20, classes=4, scale=3.0, factor=1, order="coded"):
    """Return a fold whose exits know more and more; ``factor`` multiplies its costs."""
    noise = torch.Generator().manual_seed(number)
    logits, labels = {}, {}
    for split in ("val", "test"):
        labels[split] = torch.randint(classes, (clips,), generator=noise)
        truth = torch.nn.functional.one_hot(labels[split], classes)
        both = torch.randn(12, clips, classes, generator=noise)
        z = scale * (both + torch.linspace(0.3, 1.6, 12)[:, None, None] * truth)
        logits[split] = {"pkd": dict(zip(MODALITIES, z.split(4), strict=True))}
    macs = {name: tuple(factor * each for each in own) for name, own in MACS.items()}
    return FoldExits(number, logits, labels, macs, 230 * factor, order)


def fitted(folds, variant):
    """Return a cascade fitted in each fold."""
    return [fold.ensembles("pkd", names=[variant])[variant] for fold in folds]


def slow(folds, ensembles, levels):
    """Walk clip by clip: list of (exit, right, whether the last exit is right, MACs, ms).

    ``levels``: modality to a threshold or "equal"; ``ensembles`` as ``fitted`` returns them.
    """
    lines = []
    for fold, found in zip(folds, ensembles, strict=True):
        names = {"coded": MODALITIES, "text": ("mv", "residual", "iframe")}[fold.order]
        equal = fold.threshold(found)
        for n, label in enumerate(fold.labels["test"].tolist()):
            macs = ms = 0
            for j in range(12):
                name, place = names[j // 4], j % 4
                z = found.scores["test"][j, n].double().tolist()
                top = max(z)
                sure = 1 / sum(math.exp(each - top) for each in z)
                limit = equal if levels[name] == "equal" else levels[name]
                if sure > limit or j == 11:
                    break
                if place == 3:
                    macs, ms = macs + fold.macs[name][3], ms + TIMES[name][3]
            last = found.scores["test"][11, n].tolist()
            lines.append((
                j, z.index(top) == label, last.index(max(last)) == label,
                macs + fold.macs[name][place], ms + TIMES[name][place],
            ))  # fmt: skip
    return lines
