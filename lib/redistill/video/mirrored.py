"""What a class becomes when its clips are mirrored, told by its name."""

import re
from collections.abc import Sequence

from redistill.errors import CatalogError

_PAIRS = (("left", "right"), ("clockwise", "counterclockwise"))
_OTHER = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}


def mirrored_labels(classes: Sequence[str]) -> tuple[int, ...]:
    """Return the label that each label of Jester becomes under a mirror.

    The words left and right change places, and so do clockwise and counterclockwise: a hand that
    turns one way is seen to turn the other (spec/corrections.md 7).  Other classes stay.

    Raises:
        CatalogError: a class whose counterpart is not there.
    """
    place = {name.lower(): label for label, name in enumerate(classes)}
    swap = []
    for name in classes:
        other = re.sub(r"\w+", lambda word: _OTHER.get(word[0], word[0]), name.lower())
        if other not in place:
            raise CatalogError(
                f"class {name!r} mirrored is {other!r}, which is no class here: add its clips, or "
                "leave out both"
            )
        swap.append(place[other])
    return tuple(swap)
