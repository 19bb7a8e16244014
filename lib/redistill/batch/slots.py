"""Slots: how many runs at once, and on which device each."""

import os
from dataclasses import dataclass

from redistill.errors import ConfigError


@dataclass(frozen=True)
class Slot:
    """A place for one run at a time.

    Attributes:
        number: counted from 0.
        device: what its runs get as CUDA_VISIBLE_DEVICES; None leaves that variable alone.
    """

    number: int
    device: str | None


def make_slots(*, slots: int | None, per_gpu: int, threads: int) -> tuple[Slot, ...]:
    """Return the slots of this machine, those of one round on different devices.

    Args:
        slots: how many; without a number ``per_gpu`` for each GPU, and without any GPU as many as
            the cores carry.
        per_gpu: runs at once on one GPU.
        threads: CPU threads that each run computes with.

    Raises:
        ConfigError: no slot, more than the GPUs are said to carry, or more threads than cores.
    """
    if per_gpu < 1 or (slots is not None and slots < 1):
        raise ConfigError(f"slots = {slots}, per GPU {per_gpu}: give at least 1 of each")
    devices, cores = _devices(), _cores()
    room = len(devices) * per_gpu if devices else max(cores // threads, 1)
    count = room if slots is None else slots
    if devices and count > room:
        raise ConfigError(
            f"{count} slots on {len(devices)} GPUs: {per_gpu} at once on each are {room}; "
            "give fewer --slots or a higher --per-gpu"
        )
    if count > 1 and count * threads > cores:
        raise ConfigError(
            f"{count} slots of {threads} threads each on {cores} cores would slow each other "
            f"down; give at most --slots {max(cores // threads, 1)}, or runs of fewer threads"
        )
    names = devices or [None]
    return tuple(Slot(number, names[number % len(names)]) for number in range(count))


def _devices() -> list[str]:
    """Return the GPUs that torch may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch  # seconds to import

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    names = map(str, range(count)) if given is None else given.split(",")
    return [name.strip() for name in names][:count]


def _cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
