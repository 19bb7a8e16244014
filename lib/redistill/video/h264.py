"""What the headers of an H.264 stream tell without decoding (ISO 14496-10, 7.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from redistill.video.bits import Bits

SLICE, IDR, SPS = 1, 5, 7
_WITH_CHROMA = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}


@dataclass(frozen=True)
class Parameters:
    """The facts of a sequence parameter set on which accumulation depends."""

    references: int
    fields: bool
    shifted: bool  # cropped at the left or the top


def read_parameters(unit: bytes) -> Parameters:
    """Read a sequence parameter set, given as a NAL unit with its header byte."""
    bits = Bits(unit.replace(b"\x00\x00\x03", b"\x00\x00")[1:])
    profile = bits.take(8)
    bits.take(16)
    bits.golomb()
    if profile in _WITH_CHROMA:
        _skip_chroma(bits)
    bits.golomb()
    _skip_order(bits)
    references = bits.golomb()
    bits.take(1)
    bits.golomb(), bits.golomb()  # size in macroblocks
    fields = not bits.take(1)
    bits.take(2 if fields else 1)
    cropped = bits.take(1)
    left, _, top = (bits.golomb() if cropped else 0 for _ in range(3))
    return Parameters(references, fields, bool(left or top))


def _skip_chroma(bits: Bits) -> None:
    """Pass over the chroma format, bit depths and scaling lists of the high profiles."""
    chroma = bits.golomb()
    if chroma == 3:
        bits.take(1)
    bits.golomb(), bits.golomb()
    bits.take(1)
    if bits.take(1):
        for index in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling(bits, 16 if index < 6 else 64)


def _skip_scaling(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last


def _skip_order(bits: Bits) -> None:
    """Pass over the picture order count."""
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.take(1)
        bits.golomb(), bits.golomb()
        for _ in range(min(bits.golomb(), 255)):
            bits.golomb()


def length_bytes(extradata: bytes) -> int:
    """Return how many bytes hold a unit's length; 0 for start codes (Annex B)."""
    return (extradata[4] & 3) + 1 if len(extradata) > 6 and extradata[0] == 1 else 0


def stored_parameters(extradata: bytes) -> list[bytes]:
    """Return the sequence parameter sets that a container holds beside the packets."""
    if not length_bytes(extradata):
        return [unit for unit in units(extradata, 0) if unit[0] & 31 == SPS]
    return list(islice(units(extradata[6:], 2), extradata[5] & 31))


def units(data: bytes, size_bytes: int) -> Iterator[bytes]:
    """Yield the NAL units of a packet; of slices only the first bytes, which hold the type."""
    if not size_bytes:
        yield from filter(None, data.split(b"\x00\x00\x01")[1:])
        return
    at = 0
    while at + size_bytes < len(data):
        size = int.from_bytes(data[at : at + size_bytes], "big")
        at += size_bytes
        if size:
            yield data[at : at + (32 if data[at] & 31 in (SLICE, IDR) else size)]
        at += size


def slice_type(unit: bytes) -> str:
    """Return the type of a slice: I, P or B (SP counts as P, SI as I)."""
    bits = Bits(unit[1:32])
    bits.golomb()
    return "PBIPI"[bits.golomb() % 5]
