"""Random numbers found by their key, not by their place in a sequence.

A draw depends on nothing but its key, so it is the same with any number of workers, in any
order, and after a resume.
"""

import hashlib

import numpy as np

Key = str | int


def _digest(key: tuple[Key, ...], size: int) -> bytes:
    text = "\x1f".join(map(str, key))
    return hashlib.blake2b(text.encode(), digest_size=size).digest()


def below(limit: int, *key: Key) -> int:
    """Return an integer uniform on 0 .. limit-1; pure integer arithmetic."""
    return int.from_bytes(_digest(key, 8), "little") * limit >> 64


def unit(*key: Key) -> float:
    """Return a number uniform on [0, 1)."""
    return (int.from_bytes(_digest(key, 8), "little") >> 11) / (1 << 53)


def words(count: int, *key: Key) -> np.ndarray:
    """Return ``count`` uniform uint16 words, the same on every machine and numpy version."""
    raw = generator(*key).bit_generator.random_raw(-(-count // 4))
    return raw.astype("<u8").view("<u2")[:count]


def order(count: int, *key: Key) -> np.ndarray:
    """Return a permutation of 0 .. count-1 (int64)."""
    draws = [_digest((*key, index), 8) for index in range(count)]
    return np.array(sorted(range(count), key=draws.__getitem__), dtype=np.int64)


def generator(*key: Key) -> np.random.Generator:
    """Return a numpy generator of its own for this key."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(key, 16), "little")))
