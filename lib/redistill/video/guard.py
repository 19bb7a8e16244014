"""Tell on which streams accumulated motion would be wrong, from headers alone."""

from collections.abc import Mapping, Sequence

from redistill.video import h264, mpeg4

REMEDY = "Re-encode it with: redistill prepare SOURCE TARGET"


def examine(codec: str, extradata: bytes, packets: Sequence[bytes]) -> tuple[list[str], str | None]:
    """Classify the packets of a stream.

    Args:
        codec: FFmpeg's name of the decoder.
        extradata: the headers that the container holds beside the packets.
        packets: the packets in decoding order.

    Returns:
        For each packet "I" where a GOP starts, "P" for another frame, "" for none; and the
        reason why motion cannot be accumulated over this stream, or None.
    """
    if codec == "mpeg4":
        return _examine_mpeg4(extradata, packets)
    if codec == "h264":
        return _examine_h264(extradata, packets)
    reason = f"motion cannot be accumulated over {codec} video"
    return ["I", *"P" * (len(packets) - 1)][: len(packets)], reason


def _examine_mpeg4(extradata: bytes, packets: Sequence[bytes]) -> tuple[list[str], str | None]:
    head = extradata + (packets[0] if packets else b"")
    layer = mpeg4.read_layer(head)
    if layer is None:
        return ["P"] * len(packets), "it has no MPEG-4 header for rectangular video"
    types = [mpeg4.pictures(packet, layer.time_bits) for packet in packets]
    checks = {
        "it uses sprites or global motion compensation": layer.sprites or "S" in "".join(types),
        "it is interlaced": layer.interlaced,
        "several frames share a packet": max(map(len, types), default=0) > 1,
    }
    return [kind[:1] for kind in types], _first_fault(types, checks)


def _examine_h264(extradata: bytes, packets: Sequence[bytes]) -> tuple[list[str], str | None]:
    size_bytes = h264.length_bytes(extradata)
    parameters = [h264.read_parameters(unit) for unit in h264.stored_parameters(extradata)]
    types, faults = [], []
    for index, packet in enumerate(packets):
        units = list(h264.units(packet, size_bytes))
        parameters += [h264.read_parameters(unit) for unit in units if unit[0] & 31 == h264.SPS]
        slices = [unit for unit in units if unit[0] & 31 in (h264.SLICE, h264.IDR)]
        kinds = {h264.slice_type(unit) for unit in slices}
        if any(unit[0] & 31 == h264.IDR for unit in slices):
            types.append("I")
        elif kinds == {"I"}:
            types.append("P")
            faults.append(f"the I-frame in packet {index} starts no closed GOP")
        else:
            types.append("B" if "B" in kinds else "P" if kinds else "")
        if any(not unit[0] & 0x60 for unit in slices):
            faults.append(f"the frame in packet {index} is left out as a reference")
    if not parameters:
        return types, "it has no H.264 sequence parameter set"
    references = max(one.references for one in parameters)
    cropped = "it is cropped at the left or the top, so vectors and pixels are out of step"
    checks = {
        f"its P frames may refer to {references} frames, not only to the last one": references > 1,
        "it is interlaced": any(one.fields for one in parameters),
        cropped: any(one.shifted for one in parameters),
    }
    return types, _first_fault(types, checks | dict.fromkeys(faults, True))


def _first_fault(types: Sequence[str], checks: Mapping[str, bool]) -> str | None:
    """Return the first reason that holds: B frames, ``checks`` in order, a start without I."""
    for index, kind in enumerate(types):
        if "B" in kind:
            return f"it has B frames (packet {index} is the first)"
    headless = next((kind for kind in types if kind), "I") != "I"
    checks = {**checks, "it does not begin with an I-frame": headless}
    return next((reason for reason, holds in checks.items() if holds), None)
