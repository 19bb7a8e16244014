"""How many views of a clip a test takes: offsets in time times crops (spec/spectrum.md 7)."""

import re

from redistill.errors import ConfigError

CROPS = (1, 3)


def read_protocol(text: str) -> tuple[int, int]:
    """Return (offsets, crops) of a protocol such as ``1x1``, ``2x3`` or ``10x3``.

    View v has offset v // crops, u = (offset + 1/2) / offsets on the grid of frames, and crop
    v % crops: of 1 the centre, of 3 those of ``transforms.third_view``.

    Raises:
        ConfigError: no such protocol.
    """
    found = re.fullmatch(r"([1-9]\d*)x(\d+)", text)
    if not found or int(found[2]) not in CROPS:
        raise ConfigError(
            f"protocol = {text!r}: give '<offsets>x<crops>' with 1 or 3 crops, such as '1x1', "
            "'2x3' or '10x3'"
        )
    return int(found[1]), int(found[2])
