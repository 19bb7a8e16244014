"""A data set: what is there, what of it can be used, and whether its splits leak."""

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from redistill.doctor.finding import FAIL, OK, WARN, Finding
from redistill.errors import CatalogError, VideoError

if TYPE_CHECKING:
    from redistill.doctor.examine import Asked
    from redistill.doctor.layout import Layout
    from redistill.doctor.leakage import Twins
    from redistill.video.splits import Clip

_SAMPLE, _BRIEF = 20, 6  # clips opened
_PATIENCE = 1.5  # seconds for opening clips, and again for hashing those of one size


def check_clips(asked: "Asked") -> Finding:
    """Count clips and classes, and open some of them."""
    try:
        layout = asked.layout
    except CatalogError as error:
        return Finding("clips", FAIL, str(error), "mend what it names, or give another --data-root")
    catalog = layout.catalog
    text = (
        f"{catalog.name}: {len(catalog.clips):,} clips of {len(catalog.classes)} classes in "
        f"{_counted(len(catalog.folds), 'fold')}"
    )
    if not layout.there:
        return _to_be_made(text, len(catalog.clips))
    text += f", {'manifest' if layout.content else 'names and sizes'} {catalog.manifest[:8]}"
    return _opened_some(asked, text, layout)


def _opened_some(asked: "Asked", text: str, layout: "Layout") -> Finding:
    """Say what can be read of a sample, and what was left out and why."""
    catalog = layout.catalog
    looked, broken, still = sampled(catalog.clips, _BRIEF if asked.brief else _SAMPLE)
    text += f"; of {looked} opened {looked - len(broken) - len(still)} can be read with motion"
    reasons = Counter(reason for _, reason in catalog.dropped).most_common(1)
    for reason, number in reasons:
        text += f"; {len(catalog.dropped)} left out, {number} of them: {reason}"
    if broken:
        text += f"; {len(broken)} broken, the first: {broken[0]}"
        state = FAIL if len(broken) == looked else WARN
        return Finding("clips", state, text, "get them again, or run with -p on_bad drop")
    if still:
        text += f"; {len(still)} without, the first: {still[0]}"
        again = f"redistill prepare {asked.data_root} TARGET"
        return Finding("clips", WARN, text, f"notebooks 3 and 4 need motion: {again}")
    if reasons:
        return Finding("clips", WARN, text, "runs stop at such files unless -p on_bad drop is set")
    return Finding("clips", OK, text)


def check_leakage(asked: "Asked") -> Finding:
    """Look for groups and file contents that are on two sides of a split."""
    from redistill.doctor import leakage

    try:
        layout = asked.layout
    except CatalogError:
        return Finding("split leakage", WARN, "not looked at: no data set to read", "see clips")
    try:
        catalog, folds = layout.catalog, leakage.sides_of(layout.catalog)
    except CatalogError as error:
        return Finding("split leakage", FAIL, str(error), "mend the split: runs stop at it")
    same = leakage.twins(catalog.clips, seconds=_PATIENCE)
    shared = leakage.shared_groups(folds, catalog.clips, group=lambda clip: clip.group)
    shared += leakage.shared_contents(folds, same.pairs)
    groups = len({clip.group for clip in catalog.clips})
    text = f"{_counted(groups, 'group')} in {_counted(len(folds), 'fold')} of train, val and test"
    if shared:
        text = f"{_counted(len(shared), 'leak')} in {text}; the first: {shared[0].text()}"
        todo = "move all clips of one person, scene or video to one side (groups.csv, README)"
        return Finding("split leakage", FAIL, text, todo)
    told = _compared(same) if layout.there else "contents once the set is made"
    text += f": none on two sides; {told}"
    if videos := _videos_of_hmdb51(catalog.name, folds, catalog.clips):
        text += f"; but {len(videos)} times a source video is, in another class"
        return Finding("split leakage", WARN, text, "the official lists are so: say it in a report")
    if groups == len(catalog.clips) > 1:
        text += "; every clip is its own group, so persons or scenes are not known"
        return Finding("split leakage", WARN, text, "name them in groups.csv if there are any")
    return Finding("split leakage", OK, text)


def _compared(same: "Twins") -> str:
    """Say how many contents were compared, where no two sides share one."""
    text = f"{same.hashed} files of like size compared, no two sides share one"
    if same.pairs:
        text += f" ({_counted(len(same.pairs), 'pair')} of equal files on one side)"
    return text + (f"; {same.unread} more not read for lack of time" if same.unread else "")


def sampled(clips: Sequence["Clip"], most: int) -> tuple[int, list[str], list[str]]:
    """Open some clips, spread evenly; decode the first picture of each.

    Returns:
        How many were opened; of those that cannot be read, name and reason; the same of those
        that can be, but on which motion cannot be accumulated.
    """
    started, looked = time.monotonic(), 0
    broken: list[str] = []
    still: list[str] = []
    for clip in clips[:: max(1, -(-len(clips) // most))]:
        if looked and time.monotonic() - started > _PATIENCE:
            break
        looked += 1
        try:
            if reason := _opened(clip.path):
                still.append(f"{clip.id}: {reason}")
        except (VideoError, OSError, StopIteration) as error:
            broken.append(f"{clip.id}: {str(error).removeprefix(f'{clip.path}: ')}")
    return looked, broken, still


def _opened(path: Path) -> str | None:
    """Return why motion cannot be accumulated over a clip of which a picture can be decoded."""
    from redistill.video.source import Source

    if path.is_dir():
        return "it is a folder of pictures" if any(path.iterdir()) else "it is an empty folder"
    source = Source(path)
    next(source.shown())
    return source.info.reason


def _to_be_made(text: str, clips: int) -> Finding:
    """Say what making the synthetic set takes, from some of its clips, made and thrown away."""
    from redistill.doctor.known import size
    from redistill.video.encode import encode_mpeg4
    from redistill.video.synthetic import SyntheticSpec, draw, render

    spec, made = SyntheticSpec(), 3
    with tempfile.TemporaryDirectory(prefix="redistill-doctor-") as folder:
        started = time.perf_counter()
        for number in range(made):
            frames = render(spec, draw(spec, "train", 0, number))
            encode_mpeg4(Path(folder, f"{number}.avi"), frames)
        seconds = (time.perf_counter() - started) / made
        nbytes = sum(path.stat().st_size for path in Path(folder).iterdir()) / made
    return Finding(
        "clips",
        OK,
        f"{text}, not made yet: the first run takes about {clips * seconds:.0f} s on one core and "
        f"{size(clips * nbytes)} for it, by {made} of them",
    )


def _videos_of_hmdb51(name: str, folds: dict, clips: Sequence["Clip"]) -> list:
    """Return videos on two sides whatever the class; its groups tell clips of two classes apart."""
    from redistill.doctor.leakage import shared_groups

    if name != "hmdb51":
        return []
    return shared_groups(folds, clips, group=_video)


def _video(clip: "Clip") -> str:
    """Return the source video of a clip of HMDB-51; its group is <class>/<video>_<class>."""
    label, _, name = clip.group.partition("/")
    return name.removesuffix(f"_{label}")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
