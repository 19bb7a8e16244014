"""The one training loop: phases with checkpoints, bit-exact resume, a journal, and a cache.

A phase trains one network with one loss.  After each epoch everything that the next one depends
on goes into one file, so a phase killed anywhere and started again ends with the bits of an
undisturbed one (same machine, same number of threads).  A finished phase is found again by the
hash of all that determines it and is not repeated.
"""

import copy
import fcntl
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from redistill import checkpoint
from redistill.errors import RunError
from redistill.feed import Feed
from redistill.files import cache_root, slug, write_json
from redistill.optim import make_optimizer, schedule, update
from redistill.phase import Objective, Phase, cross_entropy, phase_key
from redistill.predict import accuracy, forward, predict, settle

Tick = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        net: in eval mode, on the phase's device.
        journal: one dict an epoch: epoch, loss, lr, seconds, val (accuracy) where asked for, and
            what the network has to ``tell`` of itself.
        found: whether the phase was found finished.
        key: hash of all that determines it.
        watched: (epochs, ..., N) uint8, the class of each watched clip after each epoch.
    """

    net: nn.Module
    journal: list[dict[str, Any]]
    found: bool
    key: str = field(repr=False)
    watched: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What a phase works with."""

    phase: Phase
    net: nn.Module
    feed: Feed
    val: Feed | None
    watch: Feed | None
    objective: Objective


def run_phase(
    phase: Phase,
    net: nn.Module,
    feed: Feed,
    *,
    val: Feed | None = None,
    watch: Feed | None = None,
    objective: Objective = cross_entropy,
    tick: Tick | None = None,
) -> Trained:
    """Train ``net`` in place, or find it trained.

    Args:
        phase: the settings.
        net: with its initial weights; they are part of the phase's identity.
        feed: the training clips.
        val: clips whose accuracy is noted in the journal after each epoch; it decides nothing.
        watch: clips whose predicted classes are kept after each epoch, labels unread.
        objective: the loss; its module's source is part of the phase's identity.
        tick: called with each new line of the journal.

    Raises:
        RunError: a loss that is not finite, a broken checkpoint.
    """
    torch.set_num_threads(phase.threads)
    job = _Job(phase=phase, net=net, feed=feed, val=val, watch=watch, objective=objective)
    key = phase_key(phase, net, (feed, val, watch), objective=objective, loop=__name__)
    folder = cache_root() / "phases" / f"{slug(phase.name)}-{key[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    channels_last(net.to(phase.device))
    with _locked(folder):
        journal, watched, found = _train(job, folder, tick)
    kept = torch.stack(watched) if watched else None
    return Trained(net=settle(net), journal=journal, found=found, key=key, watched=kept)


def _train(
    job: _Job, folder: Path, tick: Tick | None
) -> tuple[list[dict[str, Any]], list[Tensor], bool]:
    """Train from the last checkpoint on; return journal, watched, whether nothing was left."""
    phase, path, epochs = job.phase, folder / "checkpoint.safetensors", job.phase.epochs(job.feed)
    optimizer = make_optimizer(phase, job.net)
    checkpoint.seed_random(phase.seed)  # dropout, say, must not depend on what ran before
    journal, watched = _resume(path, job, optimizer) if path.exists() else ([], [])
    found = len(journal) >= epochs
    for epoch in range(len(journal), epochs):
        started = time.perf_counter()
        loss = _epoch(job, optimizer, epoch)
        line = {"epoch": epoch + 1, "loss": loss, "lr": optimizer.param_groups[0]["lr"]}
        if job.val is not None:
            logits = predict(job.net, job.val, device=phase.device, amp=phase.amp)
            line["val"] = accuracy(logits, job.val.labels)
        if job.watch is not None:
            logits = predict(job.net, job.watch, device=phase.device, amp=phase.amp)
            watched.append(logits.argmax(-1).to(torch.uint8))
        line["seconds"] = round(time.perf_counter() - started, 3)
        line |= getattr(job.net, "tell", dict)()
        journal.append(line)
        _save(path, job, optimizer, journal, watched)
        write_json(folder / "journal.json", {"epochs": epochs, "journal": journal})
        if tick:
            tick(line)
    return journal, watched, found


def _epoch(job: _Job, optimizer: torch.optim.Optimizer, epoch: int) -> float:
    """Train one epoch; return the mean loss over its clips."""
    phase, net, feed = job.phase, job.net, job.feed
    net.train()
    total, seen, steps = 0.0, 0, feed.steps(phase.batch)
    last = phase.epochs(feed) * steps
    for number, batch in enumerate(feed.epoch(epoch, batch=phase.batch, seed=phase.seed)):
        now = epoch * steps + number
        for group in optimizer.param_groups:
            group["lr"] = phase.lr * group["scale"] * schedule(now, last, phase.drops)
        logits = forward(net, batch, device=phase.device, amp=phase.amp)
        loss = job.objective(logits, batch, now / last)
        value = loss.item()
        if not math.isfinite(value):
            raise RunError(
                f"phase {phase.name}: the loss is {value} in epoch {epoch + 1}, batch {number + 1} "
                f"of {steps}, on the clips {', '.join(batch.clips)}. The last whole epoch is kept; "
                f"look at these clips, or lower lr (now {phase.lr})"
            )
        update(optimizer, loss, clip=phase.clip)
        total += value * len(batch.clips)
        seen += len(batch.clips)  # a feed may show some clips more than once
    return total / seen


def first_losses(
    phase: Phase,
    net: nn.Module,
    feed: Feed,
    *,
    objective: Objective = cross_entropy,
    steps: int = 3,
) -> list[float]:
    """Return the loss of the first batch on the initial weights and after each of some steps.

    Training on another CPU agrees to rounding in its first steps and to nothing after twenty, so
    these are the numbers in which a wrong sign or a dropped factor shows.  ``net`` is not changed.
    The peak learning rate is used from the first step on; the objective is told that the steps
    are spread over all of the training (0, 1/4, 1/2), so that a change of teachers shows.
    """
    torch.set_num_threads(phase.threads)
    twin = copy.deepcopy(net).to(phase.device).train()
    optimizer = make_optimizer(phase, twin)
    batch = next(feed.epoch(0, batch=phase.batch, seed=phase.seed))
    losses = []
    for step in range(steps):
        logits = forward(twin, batch, device=phase.device, amp=False)
        loss = objective(logits, batch, step / (steps + 1))
        losses.append(loss.item())
        update(optimizer, loss, clip=phase.clip)
    return losses


def _save(
    path: Path,
    job: _Job,
    optimizer: torch.optim.Optimizer,
    journal: list[dict[str, Any]],
    watched: list[Tensor],
) -> None:
    slots, settings = checkpoint.pack_optimizer(optimizer)
    states, generators = checkpoint.pack_random(torch.device(job.phase.device))
    weights = {f"net.{name}": t for name, t in job.net.state_dict().items()}
    seen = {f"watched.{epoch}": classes for epoch, classes in enumerate(watched)}
    meta = {"journal": journal, "optimizer": settings, "random": generators}
    checkpoint.save_checkpoint(path, weights | slots | states | seen, meta)


def _resume(
    path: Path, job: _Job, optimizer: torch.optim.Optimizer
) -> tuple[list[dict[str, Any]], list[Tensor]]:
    tensors, meta = checkpoint.load_checkpoint(path)
    checkpoint.restore(job.net, tensors)
    checkpoint.unpack_optimizer(optimizer, tensors, meta["optimizer"])
    checkpoint.unpack_random(tensors, meta["random"], torch.device(job.phase.device))
    journal = list(meta["journal"])
    seen = [f"watched.{epoch}" for epoch in range(len(journal))]
    return journal, [tensors[name] for name in seen if name in tensors]


def channels_last(net: nn.Module) -> nn.Module:
    """Return ``net``; on CUDA its kernels (O, I, H, W) laid out with channels last, 3-D ones not.

    Tensor cores want it.  On a CPU training took a fifth less time, but with torch 2.13.0 some
    networks then crashed the process.
    """
    with torch.no_grad():
        for weight in net.parameters():
            if weight.is_cuda and weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return net


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time train a phase; the others wait and then find it finished."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
