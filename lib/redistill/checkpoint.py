"""Checkpoints that cannot execute code and are written whole or not at all.

One safetensors file holds everything: the tensors, and in its header a JSON text with the rest
(counters, journal, states of the random generators).  One file means one rename, so weights and
journal can never be of different epochs.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from redistill.errors import RunError
from redistill.files import write_atomic

_META = "redistill"


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able ``meta`` to ``path``, atomically."""
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_atomic(path, save(plain, metadata={_META: json.dumps(meta, allow_nan=False)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors (on the CPU) and ``meta`` of a file that ``save_checkpoint`` wrote.

    Raises:
        RunError: the file is missing, broken, or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})[_META])
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(
            f"{path} is no checkpoint of this suite ({type(error).__name__}: {error}); "
            "delete it and run again"
        ) from error


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's state into tensors and JSON."""
    state = optimizer.state_dict()
    tensors, rest = {}, {}
    for index, slots in state["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{slot}"] = value
            else:
                rest[f"{index}.{slot}"] = value
    return tensors, {"groups": state["param_groups"], "scalars": rest}


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> None:
    """Restore what ``pack_optimizer`` split; tensors are copied, never shared."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, slot = name.split(".", 2)
            state.setdefault(int(index), {})[slot] = value.clone()
    for name, value in meta["scalars"].items():
        index, slot = name.split(".", 1)
        state.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": meta["groups"]})


def seed_random(seed: int) -> None:
    """Seed every global random generator that a step could draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def pack_random(device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the states of every global random generator that a step could draw from."""
    tensors = {"random.torch": torch.random.get_rng_state()}
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, normal = random.getstate()
    return tensors, {
        "numpy": [kind, keys.tolist(), position, has_gauss, gauss],
        "python": [version, list(internal), normal],
    }


def unpack_random(
    tensors: Mapping[str, Tensor], meta: Mapping[str, Any], device: torch.device
) -> None:
    """Restore what ``pack_random`` returned."""
    torch.random.set_rng_state(tensors["random.torch"])
    if device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
    kind, keys, position, has_gauss, gauss = meta["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    version, internal, normal = meta["python"]
    random.setstate((version, tuple(internal), normal))


def restore(net: nn.Module, tensors: Mapping[str, Tensor], prefix: str = "net.") -> None:
    """Copy the tensors under ``prefix`` into ``net``, parameters and buffers."""
    own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    net.load_state_dict(own)
