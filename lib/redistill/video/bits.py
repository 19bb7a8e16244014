"""Read single bits and Exp-Golomb codes from a bitstream header."""


class Bits:
    """A cursor over the bits of a few header bytes; reading past the end gives zeros."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data + bytes(8), "big")
        self._left = 8 * len(data) + 64

    def take(self, count: int) -> int:
        """Return the next ``count`` bits as an unsigned number."""
        self._left = max(self._left - count, 0)
        return (self._value >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        """Return the next unsigned Exp-Golomb code (ISO 14496-10, 9.1)."""
        zeros = 0
        while self._left and zeros < 32 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """Return the next signed Exp-Golomb code."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
