"""What the headers of an MPEG-4 Part 2 stream tell without decoding (ISO 14496-2, 6.2)."""

import re
from dataclasses import dataclass

from redistill.video.bits import Bits

_PICTURE = rb"\x00\x00\x01\xb6"


@dataclass(frozen=True)
class Layer:
    """The facts of a video object layer header on which accumulation depends."""

    time_bits: int
    interlaced: bool
    sprites: bool


def read_layer(data: bytes) -> Layer | None:
    """Return the first video object layer header in ``data``; None if there is none."""
    found = re.search(rb"\x00\x00\x01[\x20-\x2f](?=.)", data, re.DOTALL)
    if not found:
        return None
    bits = Bits(data[found.end() : found.end() + 60])
    bits.take(9)
    version = 1
    if bits.take(1):
        version = bits.take(4)
        bits.take(3)
    if bits.take(4) == 15:  # extended pixel aspect ratio
        bits.take(16)
    if bits.take(1):  # control parameters: chroma format and low delay, then buffer sizes
        bits.take(3)
        if bits.take(1):
            bits.take(79)
    if bits.take(2):  # a shape other than rectangular
        return None
    bits.take(1)
    ticks = bits.take(16)
    time_bits = max(1, (ticks - 1).bit_length())
    bits.take(1)
    if bits.take(1):
        bits.take(time_bits)
    bits.take(29)  # width and height among marker bits
    interlaced = bool(bits.take(1))
    bits.take(1)
    return Layer(time_bits, interlaced, bool(bits.take(1 if version == 1 else 2)))


def pictures(data: bytes, time_bits: int) -> str:
    """Return the types of the coded pictures in a packet, such as "I", "P", "PB" or "".

    A picture marked as not coded repeats the last one; decoders give no frame for it.
    """
    types = ""
    for start in re.finditer(_PICTURE, data):
        word = int.from_bytes(data[start.end() : start.end() + 8].ljust(8, b"\0"), "big")
        at = 61  # after the type: ones for whole seconds, a zero, then the time between markers
        while at and word >> at & 1:
            at -= 1
        coded = word >> max(at - time_bits - 3, 0) & 1
        types += "IPBS"[word >> 62] if coded else ""
    return types
