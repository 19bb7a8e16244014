"""Whether there is a GPU, torch can use it, and it computes what the CPU does."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redistill.doctor.finding import FAIL, OK, WARN, Finding
from redistill.doctor.known import standard_times

if TYPE_CHECKING:
    from redistill.doctor.examine import Asked

_DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder for each GPU that the driver drives
_TOLERANCE = 1e-3  # of float32 sums of some hundred terms, in any order and with TF32 off


def check_gpu(asked: "Asked") -> Finding:
    """Look for a GPU and compute one training step of a small network on it."""
    import torch

    if torch.cuda.is_available():
        return _used(torch)
    seen = devices()
    if seen and torch.version.cuda is None:
        text = f"{seen} NVIDIA GPU here, but torch {torch.__version__} is built for the CPU only"
        return Finding("gpu", WARN, text, "make clean, then make lab TORCH_INDEX=<URL> (README)")
    if seen:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = (
            f"CUDA_VISIBLE_DEVICES is {hidden!r}" if hidden is not None else "its driver may be old"
        )
        text = f"{seen} NVIDIA GPU here, torch {torch.__version__} (CUDA {torch.version.cuda}) sees"
        return Finding("gpu", WARN, f"{text} none: {why}", "compare with what nvidia-smi prints")
    times = standard_times(asked.notebook)
    built = f", though torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else ""
    told = f"no GPU{built}: all computes on the CPU, which is enough for quick"
    return Finding(
        "gpu", OK, told + (f"; the reference runs of standard took {times}" if times else "")
    )


def devices(driver: Path = _DRIVER) -> int:
    """Return how many GPUs the NVIDIA driver of this machine has, or the container shows."""
    try:
        return len(list(driver.iterdir()))
    except OSError:
        return len(list(Path("/dev").glob("nvidia[0-9]*")))


def _used(torch: Any) -> Finding:
    """Return what the first GPU is and whether it computes as the CPU does."""
    name, count = torch.cuda.get_device_name(0), torch.cuda.device_count()
    try:
        off = difference(torch)
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(0))
        bf16 = torch.cuda.is_bf16_supported()
    except Exception as error:
        text = f"{name} is there, but computing on it failed: {str(error).splitlines()[0][:200]}"
        todo = "update the driver or take torch for it (README, 'A GPU'); until then: -p device cpu"
        return Finding("gpu", FAIL, text, todo)
    text = f"{count} x {name}, {free:.1f} of {total:.1f} GiB free, CUDA {torch.version.cuda}"
    if not off <= _TOLERANCE:
        text += f"; its step differs from the CPU's by {off:.2g} of the largest gradient"
        return Finding("gpu", FAIL, text, "do not trust its numbers: -p device cpu")
    text += f"; a step on it is the CPU's within {off:.1g}"
    if not bf16:
        return Finding("gpu", WARN, f"{text}; no bfloat16", "training is slower without, not wrong")
    return Finding("gpu", OK, f"{text}; bfloat16 works")


def difference(torch: Any, device: str = "cuda") -> float:
    """Return how far gradients on ``device`` are off the CPU's, as a share of the largest."""
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(8, 3, 3, 3, generator=generator)
    pictures = torch.randn(4, 3, 16, 16, generator=generator)

    def gradient(place: str) -> Any:
        weights = kernel.to(place).requires_grad_(True)
        out = torch.nn.functional.conv2d(pictures.to(place), weights).relu().square().mean()
        (found,) = torch.autograd.grad(out, weights)
        return found.cpu()

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        here, there = gradient("cpu"), gradient(device)
    return float((here - there).abs().max() / here.abs().max())
