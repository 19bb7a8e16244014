"""Train twice for the same bits, and with another number of threads for the same to rounding."""

import os
from typing import TYPE_CHECKING

from redistill.doctor import limits
from redistill.doctor.finding import FAIL, OK, WARN, Finding

if TYPE_CHECKING:
    from redistill.doctor.examine import Asked

_STEPS, _FEW = 3, 2  # threads that wait for each other are slow on a busy machine
# Rounding grows from step to step; in the first ones it stays far below a wrong number.
_ROUNDING = 1e-3
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_NOTED = ("OMP_NUM_THREADS", _WORKSPACE, "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
_GPU_SAME = "; twice on the GPU the same bits"
_AGREEMENT = (
    ". Runs agree to the bit for one machine, one device and one number of threads; else first "
    "steps agree to rounding, trained accuracies only as seeds do"
)


def check_determinism(asked: "Asked") -> Finding:
    """Train a tiny network for some steps, twice alike and once with two threads."""
    from redistill.doctor.training import tiny

    one, again = tiny(threads=1, steps=_STEPS), tiny(threads=1, steps=_STEPS)
    noted = [f"{name}={os.environ[name]}" for name in _NOTED if name in os.environ]
    told = f" ({', '.join(noted)} set)" if noted else ""
    if one != again:
        off = difference(one, again)
        text = f"the same {_STEPS} steps, made twice on one thread, differ by {off:.2g}{told}"
        todo = "no result here can be repeated to the bit: test memory and CPU, reinstall torch"
        return Finding("determinism", FAIL, text, todo)
    text = f"{_STEPS} steps made twice on one thread: the same bits{told}"
    if limits.cores() >= 2:
        off = difference(one[:_FEW], tiny(threads=2, steps=_FEW))
        text += f"; on two threads {off:.1g} off, relatively"
        if off > _ROUNDING:
            todo = "more than rounding: keep threads = 1, and do not compare with other machines"
            return Finding("determinism", WARN, text, todo)
    if off := gpu_difference():
        text += f"; twice on the GPU {off:.1g} off"
        return Finding("determinism", WARN, text, "for runs that repeat to the bit: -p device cpu")
    return Finding("determinism", OK, text + ("" if off is None else _GPU_SAME) + _AGREEMENT)


def gpu_difference() -> float | None:
    """Return how far two trainings on the GPU differ, set up as runs are; None without a GPU."""
    import torch

    from redistill.doctor.training import tiny

    if not torch.cuda.is_available():
        return None
    before, given = torch.are_deterministic_algorithms_enabled(), os.environ.get(_WORKSPACE)
    os.environ.setdefault(_WORKSPACE, ":4096:8")  # as redistill.session.begin does
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        return difference(*(tiny(threads=1, steps=_STEPS, device="cuda") for _ in range(2)))
    finally:
        torch.use_deterministic_algorithms(before)
        if given is None:
            del os.environ[_WORKSPACE]


def difference(one: list[float], other: list[float]) -> float:
    """Return the largest difference of two lists of losses, relative to the first."""
    return max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(one, other, strict=True))
