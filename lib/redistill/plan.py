"""What a run would take, measured on this machine with a few steps and clips, before it starts."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from redistill import stats
from redistill.claims import load_claims, verdict
from redistill.cost import milliseconds
from redistill.errors import CatalogError, ConfigError, RunError
from redistill.feed import Feed
from redistill.methods.arms import choose
from redistill.methods.distil import Distil
from redistill.methods.exits import exit_phase, exits_of
from redistill.methods.progressive import ProgressiveConfig
from redistill.methods.streams import phase, stream
from redistill.modality import CHANNELS, MODALITIES
from redistill.optim import make_optimizer
from redistill.phase import Objective, Phase, cross_entropy
from redistill.plan_text import Clips, Plan, Runs, Work
from redistill.predict import forward, settle
from redistill.reference import REFERENCE
from redistill.running.run_record import read_record
from redistill.session import begin
from redistill.train import channels_last
from redistill.trunk_feed import TrunkFeed
from redistill.video.clips import ClipLoader
from redistill.video.folders import SUFFIXES, find_root
from redistill.video.prepare import prepare
from redistill.video.splits import Clip

# files, training clips of split 1, classes, name in the claims (spec/progressive.md 1.1)
_OFFICIAL = {"ucf101": (13320, 9537, 101, "UCF-101"), "hmdb51": (6766, 3570, 51, "HMDB-51")}
_FOLDS = {"ucf101": 3, "hmdb51": 3, "weizmann": 9, "ut_interaction": 20}
_CPU_BATCH = 2  # the smallest that BatchNorm takes; a step's time grows with its clips
_PATIENCE = 10.0  # seconds for one step of each phase; above, the small batch is scaled
_COPIES = 4  # weights, gradients, two moments of Adam
_SAMPLE = 4  # clips prepared and decoded
_ASSUMED = (1.0, 2.0, 4.0)  # points, where no reference run tells the spread
Planned = tuple[Phase, nn.Module, Any, Objective]


def make_plan(config: ProgressiveConfig) -> Plan:
    """Measure what a run of notebook 3 would take; nothing of it is kept.

    Raises:
        ConfigError: a config of another notebook, which has no plan.
        CatalogError, VideoError: ``data_root`` holds no clips, or none that can be used.
    """
    if not isinstance(config, ProgressiveConfig):
        raise ConfigError(
            f"--plan measures the phases of notebook 3, and {type(config).__name__} is not its "
            "config; run the notebook, with profile = 'quick' first"
        )
    device = begin(config)
    official = _OFFICIAL.get(config.dataset)
    works, gibibytes = _works(config, device, classes=official[2] if official else 10)
    clips = _measure_clips(config, official) if config.data_root else None
    return Plan(
        config=config,
        device=torch.cuda.get_device_name() if device == "cuda" else "CPU",
        works=works,
        folds=len(config.folds) or _FOLDS.get(config.dataset, 1),
        clips=clips,
        gibibytes=gibibytes,
        free=psutil.virtual_memory().available / 2**30,
        runs=_runs(official[3] if official else ""),
    )


def _works(
    config: ProgressiveConfig, device: str, *, classes: int
) -> tuple[tuple[Work, ...], float]:
    """Return the phases with their seconds a step, and the GiB of the largest."""
    batch = config.batch if device == "cuda" else min(_CPU_BATCH, config.batch)
    while True:
        try:
            works, room = _works_at(config, device, batch, classes)
        except torch.OutOfMemoryError:
            if batch <= _CPU_BATCH:
                raise
            batch //= 2
            continue
        if device == "cuda" or batch == config.batch or sum(w.seconds for w in works) > _PATIENCE:
            return works, room
        batch = config.batch


def _works_at(
    config: ProgressiveConfig, device: str, batch: int, classes: int
) -> tuple[tuple[Work, ...], float]:
    scale, works, rooms = config.batch / batch, [], []
    for name, needs, job in _planned(config, device, batch, classes):
        seconds, activations, weights = _measure(*job, fresh=config.stream)
        works.append(Work(name, job[0].steps, seconds * scale, batch, needs))
        rooms.append(activations * scale + _COPIES * weights)
    return tuple(works), max(rooms) / 2**30


def _planned(
    config: ProgressiveConfig, device: str, batch: int, classes: int
) -> Iterator[tuple[str, tuple[str, ...], Planned]]:
    """Yield name, modalities decoded, and the phase on noise, which costs what pictures cost."""
    drawn = replace(config, weights="")  # a plan downloads nothing
    nets = {m: stream(m, drawn, classes=classes) for m in MODALITIES}
    nets = {m: channels_last(net.to(device)) for m, net in nets.items()}
    feeds = {m: _noise(config, m, batch) for m in MODALITIES}
    for m in MODALITIES:
        job = phase(m, config, device=device), nets[m], feeds[m], cross_entropy
        yield f"{m} network", (m,), job
    arms = choose(config.arms, seed=config.seed)
    shared = {"nets": nets, "feeds": feeds, "device": device, "name": ""}
    for m in MODALITIES:
        exits = channels_last(exits_of(nets[m], arms, config).to(device))
        trunk = TrunkFeed(modality=m, student=nets[m], **shared)
        job = exit_phase("plan", m, config, device=device), exits, trunk, Distil(arms)
        yield f"classifiers on {m}", MODALITIES, job


def _noise(config: ProgressiveConfig, modality: str, batch: int) -> Feed:
    shape = 1, batch, config.segments, CHANNELS[modality], config.size, config.size
    views = torch.randint(256, shape, dtype=torch.uint8)
    labels = torch.zeros(batch, dtype=torch.int64)
    return Feed(views=views, modality=modality, labels=labels, clips=("",) * batch, manifest="")


def _measure(
    settings: Phase, net: nn.Module, feed: Any, objective: Objective, *, fresh: bool
) -> tuple[float, int, int]:
    """Return the seconds of a step, the bytes kept for its backward pass, and of the weights.

    With ``fresh`` each step makes its batch: for the classifiers, a pass over all networks.
    """
    optimizer = make_optimizer(settings, net.train().requires_grad_(True))
    size = len(feed)
    held = None if fresh else next(feed.epoch(0, batch=size, seed=0))

    def step() -> None:
        batch = held or next(feed.epoch(0, batch=size, seed=0))
        logits = forward(net, batch, device=settings.device, amp=settings.amp)
        loss = objective(logits, batch, 0.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()

    weights = {p.untyped_storage().data_ptr(): p.nbytes for p in net.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    seconds = milliseconds(step, repeats=2) / 1e3
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    settle(net)
    activations = sum(size for place, size in kept.items() if place not in weights)
    return seconds, activations, sum(weights.values())


def _measure_clips(config: ProgressiveConfig, official: tuple | None) -> Clips:
    """Prepare and decode a few clips."""
    root = find_root(config.data_root, config.dataset)
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise CatalogError(f"{root} holds no clips ({' '.join(SUFFIXES)}) to measure")
    chosen = files[:: -(-len(files) // _SAMPLE)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        source.mkdir()
        for number, file in enumerate(chosen):
            (source / f"{number}{file.suffix}").symlink_to(file.resolve())
        started = time.perf_counter()
        made = prepare(source, target, workers=0)
        seconds = time.perf_counter() - started
        ready = [target / entry.target for entry in made.entries if not entry.reason]
        if not ready:
            raise CatalogError(f"none of {len(chosen)} clips of {root} can be used: {made}")
        return Clips(
            count=official[0] if official else len(files),
            train=official[1] if official else len(files),
            sample=len(ready),
            nbytes=sum(path.stat().st_size for path in ready) / len(ready),
            prepare=seconds / len(chosen),
            decode={m: _decode(config, ready, m) for m in MODALITIES},
        )


def _decode(config: ProgressiveConfig, files: list[Path], modality: str) -> float:
    """Return the seconds in which one process loads one view of a clip."""
    loader = ClipLoader(
        size=config.size, train=True, segments=config.segments, modalities=(modality,)
    )
    clips = [Clip(file.stem, file, 0, "") for file in files]
    took = milliseconds(lambda: [loader.load(clip, [0]) for clip in clips], repeats=1)
    return took / 1e3 / len(clips)


def _runs(dataset: str) -> tuple[Runs, ...]:
    """Return how many seeds each printed claim of the paper needs, for each effect and spread."""
    records = []
    for path in sorted(REFERENCE.glob("*/record.json")):
        with suppress(RunError):  # no valid record, no spread
            records.append(read_record(path.parent) | {"run": path.parent.name})
    rows = []
    for claim in load_claims():
        if claim.paper != "progressive" or not claim.printed or claim.rule != "superiority":
            continue
        judged = [v for v in verdict(claim, records) if v.interval and v.profile != "quick"]
        spread = [(v.interval.sd, f"reference, {v.dataset}") for v in judged]
        printed = [p["value"] for p in claim.printed if p["data"] == dataset]
        effects = [("margin", claim.margin), *(("printed", value) for value in printed)]
        for name, effect in effects:
            for sd, origin in spread or [(sd, "assumed") for sd in _ASSUMED]:
                needed = stats.runs_needed(effect=effect, sd=sd)
                rows.append(Runs(f"{claim.id}, {name}", effect, sd, origin, needed))
    return tuple(rows)
