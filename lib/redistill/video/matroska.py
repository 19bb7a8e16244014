"""Where a Matroska or WebM file says that it ends: FFmpeg reads a torn one without a word."""

_HEADER, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def segment_end(head: bytes) -> int:
    """Return the number of bytes that the file announces; 0 where it does not tell.

    Args:
        head: its first kilobytes: the EBML header and the head of the segment, which is the rest.
    """
    at = 0
    while at < len(head) and (at or head.startswith(_HEADER)):
        name = head[at : at + _length(head[at])]
        start = at + len(name)
        width = _length(head[start]) if start < len(head) else 9
        if width > 8 or start + width > len(head):
            return 0
        value = int.from_bytes(head[start : start + width], "big") - (1 << 7 * width)
        if value == (1 << 7 * width) - 1:  # written as it was recorded, its size unknown
            return 0
        at = start + width + value
        if name == _SEGMENT:
            return at
    return 0


def _length(first: int) -> int:
    """Return the bytes of a number from the first of them: it begins with as many zeros less 1."""
    return 9 - first.bit_length()
