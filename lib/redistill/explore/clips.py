"""The clip inspector: one test clip, frame by frame and exit by exit."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

from redistill.errors import VideoError
from redistill.exit_scores import FoldExits
from redistill.explore.clip_pictures import TITLES, Pictures
from redistill.explore.clip_scores import ClipScores, clip_scores, exit_lines, kinds, telling
from redistill.explore.clip_view import Exits, layout
from redistill.explore.gop_player import Look, Player
from redistill.explore.panel import Panel
from redistill.explore.parts import PartCanvas
from redistill.video.splits import Clip

LISTED = 500  # clips of a kind that can be chosen from; a longer list is slow in a browser
PLAYERS = 4  # clips whose pictures are kept
TWIN = ("frame", "motion", "residual")  # pictures of the static twin
CAPTION = (
    "One test clip: a frame taken apart, and what WISE makes of it exit by exit; a clip that is "
    "wrong early and right at the end, if there is one."
)


def clip_inspector(
    folds: Sequence[FoldExits],
    clips: Sequence[Sequence[Clip]],
    *,
    arm: str,
    classes: Sequence[str],
    name: str = "clip",
) -> Panel:
    """Return the inspector of the test clips of all folds.

    Args:
        folds: what the exits say; their test labels are those that were read at the end.
        clips: of each fold, the test clips in the order of its tensors, without those that failed
            to decode.
        arm: whose classifiers.
        classes: names of the classes.
        name: of the panel.

    Raises:
        RedistillError: clips that do not fit the folds, or an arm that they do not have.
    """
    found = clip_scores(folds, clips, arm=arm, classes=classes)
    inspector = _Inspector(found, classes, folds[0].order)
    return Panel(
        name=name,
        controls=inspector.controls,
        canvas=inspector.canvas,
        react=inspector.react,
        twin=inspector.twin,
        caption=CAPTION,
        extra=[inspector.play],
        free=True,
    )


class _Inspector:
    """Controls and picture of the clips found."""

    def __init__(self, found: Sequence[ClipScores], classes: Sequence[str], order: str) -> None:
        self.found, self.classes, self.order = found, classes, order
        self._kinds, self._players = kinds(found), OrderedDict()
        self._kind, start = next(iter(self._kinds)), telling(found)
        self.controls = self._controls(start)
        self.play = widgets.Play(min=1, interval=250, description="frames")
        self.play.add_class("redistill-control-play")
        widgets.jslink((self.play, "value"), (self.controls["frame"], "value"))
        try:
            self._reach("frame", self._player(start).lengths[0])
            self.controls["frame"].value = self._player(start).lengths[0]
        except VideoError:
            pass  # the sentence says so
        figure, axes = layout(tuple(TITLES), columns=4, side=1.25)
        self._pictures, self._exits = Pictures(axes), Exits(axes, classes, order)
        self.canvas = PartCanvas(figure, [self._pictures, *self._exits.parts])

    def _controls(self, start: int) -> dict[str, widgets.ValueWidget]:
        kept = [(kind_label(name, len(them)), name) for name, them in self._kinds.items()]
        names = [(f"{n} · {name}", n) for n, name in enumerate(self.found[start].names, 1)]
        wide = widgets.Layout(width="34em")  # for long class names
        apart = widgets.Layout(width="24em", margin="2px 1em 2px 2px")
        return {
            "show": widgets.Dropdown(options=kept, description="show"),
            "clip": widgets.Dropdown(
                options=self._options(start), value=start, description="clip", layout=wide
            ),
            "exit": widgets.SelectionSlider(
                options=names,
                value=self.found[start].left + 1,
                description="after exit",
                layout=apart,
            ),
            "gop": widgets.IntSlider(min=1, max=2, value=1, description="GOP"),
            "frame": widgets.IntSlider(min=1, max=2, value=1, description="frame"),
        }

    def _options(self, kept: int) -> list[tuple[str, int]]:
        """Return the clips of the kind shown, and the one that is looked at if it is one."""
        members = self._kinds[self._kind]
        listed = list(members[:LISTED])
        if kept in members and kept not in listed:
            listed.append(kept)
        return [(clip_label(self.found[n], self.classes), n) for n in listed]

    def _player(self, place: int) -> Player:
        """Return the player of a clip, one of the few that are kept."""
        path = Path(self.found[place].clip.path)
        player = self._players.pop(path, None) or Player(path)
        self._players[path] = player
        if len(self._players) > PLAYERS:
            self._players.popitem(last=False)
        return player

    def _reach(self, name: str, count: int) -> int:
        """Let a slider count to ``count``; return where it stands, from 1."""
        slider = self.controls[name]
        slider.max = max(count, 2)  # the browser's slider refuses to have a single place
        slider.disabled = count == 1
        if slider.value > count:
            slider.value = count
        if name == "frame":
            self.play.max, self.play.disabled = slider.max, slider.disabled
        return slider.value

    def react(self, *, show: str, clip: int, exit: int, gop: int, frame: int) -> str:
        """Draw a clip, and say what is to be seen."""
        if show != self._kind:
            self._kind, box = show, self.controls["clip"]
            options = self._options(clip)
            places = [place for _, place in options]
            clip = clip if clip in places else places[0]
            box.options = options
            box.value = clip
        scores = self.found[clip]
        look, seen = self._look(clip)
        self._pictures.show(look)
        self._exits.show(scores, exit)
        head = f"Test clip {scores.number} of {len(self.found)}, {scores.clip.id}, class "
        head += f"{self.classes[scores.label]}: "
        return f"{head}{seen} {said(scores, exit, self.classes)}"

    def _look(self, clip: int) -> tuple[Look | None, str]:
        try:
            player = self._player(clip)
            gop = self._reach("gop", len(player.lengths))
            pos = self._reach("frame", player.lengths[gop - 1])
            look = player.look(gop - 1, pos - 1)
        except VideoError as error:
            return None, f"its pictures cannot be shown: {error}"
        where = f"frame {pos} of {player.lengths[gop - 1]} in GOP {gop} of {len(player.lengths)}; "
        return look, where + seen(look)

    def twin(self) -> tuple[Figure, pd.DataFrame]:
        """Draw the state that the inspector begins with; its table has one line an exit."""
        start = telling(self.found)
        figure, axes = layout(TWIN, columns=len(TWIN), side=0.8, gap=0.3)
        pictures, scores = Pictures(axes), self.found[start]
        try:
            player = self._player(start)
            pictures.draw(player.look(0, player.lengths[0] - 1))
        except VideoError:
            pictures.draw(None)
        Exits(axes, self.classes, self.order).show(scores, scores.left + 1)
        return figure, exit_lines(scores, self.classes)


def kind_label(name: str, count: int) -> str:
    """Return what the list of kinds says of one: how many clips, and how many can be chosen."""
    return f"{name} ({count})" if count <= LISTED else f"{name} ({count}, the first {LISTED})"


def clip_label(scores: ClipScores, classes: Sequence[str]) -> str:
    """Return what the list of clips says of one: number, class, where it leaves, how."""
    said = scores.says[scores.left]
    how = "right" if scores.right else f"WRONG: {classes[said]}"
    return f"{scores.number} · {classes[scores.label]} · leaves at {scores.left + 1} · {how}"


def seen(look: Look) -> str:
    """Return what of a frame can be counted."""
    return (
        f"motion {look.moved:.2f} pixels on average since the I-frame, {look.stepped:.2f} since "
        f"the frame before; residual {look.left:.2f} grey levels; largest error of the "
        f"reconstruction {look.error}."
    )


def said(scores: ClipScores, after: int, classes: Sequence[str]) -> str:
    """Return what WISE makes of a clip after so many exits, and where the clip leaves."""
    label, left = scores.says[after - 1], scores.left
    share = 100 * scores.shares[after - 1, label].item()
    total = scores.scores[after - 1, label].item()
    text = f"After exit {after} ({scores.names[after - 1]}) WISE says {classes[label]} with "
    count, verb = ("weighted score", "is") if after == 1 else ("weighted scores", "add up to")
    text += f"{share:.1f} %; its {after} {count} {verb} {total:.3f}"
    if label != scores.label:
        true = scores.scores[after - 1, scores.label].item()
        text += f" (of {classes[scores.label]}: {true:.3f})"
    how = "rightly" if scores.right else "wrongly"
    text += f". Under the equal-cost threshold {scores.threshold:.4g} it leaves at exit {left + 1} "
    return text + f"({scores.names[left]}) as {classes[scores.says[left]]}, {how}."
