"""The clip inspector in a browser: every control by mouse and keyboard, against the kernel."""

import re
import statistics
from pathlib import Path

EXPLORE = Path(__file__).parents[1] / "explore"
CELLS = [
    f"""
import sys, tempfile
from pathlib import Path
sys.path.insert(0, {str(EXPLORE)!r})
from clip_folds import CLASSES, NAMES, clips_of, files, fold_of, slow_scores, slow_share
from redistill.explore.clips import clip_inspector
from redistill.figures import style
from redistill.tables import gop as gop_table
from redistill.video import read_gops
style()
fold = fold_of(2, 14, seed=3)
paths = files(Path(tempfile.mkdtemp()))
panel = clip_inspector([fold], [clips_of(fold, paths)], arm="pkd", classes=CLASSES)
panel.show()
""",
    """
def parts():
    weights = fold.ensembles("pkd", names=["wise"])["wise"].weights.tolist()
    v = panel.values
    scores = slow_scores(fold, weights, v["clip"])[v["exit"] - 1]
    label = scores.index(max(scores))
    line = gop_table(list(read_gops(paths[v["clip"] % 3]))[v["gop"] - 1]).iloc[v["frame"] - 1]
    return [
        f"Test clip {v['clip'] + 1} of 14, f2/clip{v['clip']}, class "
        + CLASSES[fold.labels["test"][v["clip"]]],
        f"frame {v['frame']} of ",
        f"in GOP {v['gop']} of ",
        f"motion {line.motion:.2f} pixels on average since the I-frame",
        f"residual {line.residual:.2f} grey levels; largest error of the reconstruction 0.",
        f"After exit {v['exit']} ({NAMES[v['exit'] - 1]}) WISE says {CLASSES[label]} with "
        f"{100 * slow_share(scores)[label]:.1f} %",
        f" {scores[label]:.3f}",
    ]
""",
]


def agrees(page, panel):
    """What the page says is what two loops over the weights and the GOP table say."""
    said = panel.said()
    for part in page.kernel("parts()"):
        assert part in said


def test_every_control_of_the_clip_inspector(lab, tmp_path):
    page = lab.run_cells(CELLS)
    panel = page.panel("clip")
    assert set(panel.controls()) >= {"show", "clip", "exit", "gop", "frame"}
    agrees(page, panel)
    page.screenshot(tmp_path / "clip.png")
    first = panel.picture()
    panel.press("exit", "ArrowRight", times=2)
    agrees(page, panel)
    assert panel.picture() != first
    panel.drag("exit", 1.0)
    assert "After exit 12 (I-frame 4)" in panel.said()
    agrees(page, panel)
    panel.choose("clip", page.kernel("panel.controls['clip'].options[0][0]"))
    agrees(page, panel)
    panel.press("frame", "ArrowLeft", times=3)
    agrees(page, panel)
    panel.drag("frame", 0.0)
    assert "frame 1 of 12" in panel.said()
    agrees(page, panel)
    panel.press("gop", "ArrowRight")
    agrees(page, panel)
    panel.drag("gop", 1.0)
    assert "frame 1 of 1 in GOP 3 of 3" in panel.said()
    panel.press("gop", "ArrowLeft")
    panel.press("clip", "ArrowDown")
    agrees(page, panel)
    for label, kind in page.kernel("panel.controls['show'].options")[1:]:
        panel.choose("show", label, changes=False)
        assert page.kernel("panel.values['show']") == kind
        agrees(page, panel)
    panel.press("show", "ArrowUp", changes=False)
    agrees(page, panel)
    # The browser draws the sliders and speaks no Python: its console must be silent.
    assert not page.errors
    assert "Traceback" not in lab.log()
    times = panel.latencies
    print(f"median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms of {len(times)}")


def test_play_runs_through_the_frames(lab):
    page = lab.run_cells(CELLS)
    panel = page.panel("clip")
    panel.choose("clip", page.kernel("panel.controls['clip'].options[0][0]"))
    panel.drag("frame", 0.0)
    play = panel.root.locator(".redistill-control-play button").first
    play.click()
    page.tab.wait_for_timeout(1500)
    play.click()
    page.tab.wait_for_timeout(600)  # what was under way arrives
    seen = int(re.search(r"frame (\d+) of 12", panel.said())[1])
    assert seen > 3
    assert page.kernel("panel.values['frame']") == seen
    panel.press("gop", "ArrowRight", times=2)  # to the GOP of one frame
    assert "frame 1 of 1 in GOP 3 of 3" in panel.said()
    assert not page.errors


SLOW = """(lambda v: (lambda fold, n, k: (lambda w, z: [
    sum(w[k - 1][j] * z[j][c] for j in range(k)) for c in range(classes)
])(
    fold.ensembles(config.wise_arm, names=["wise"])["wise"].weights.tolist(),
    [z for m in ("residual", "mv", "iframe")
     for z in fold.logits["test"][config.wise_arm][m][:, n].tolist()],
))(exits[0], v["clip"], v["exit"]))(inspector.values)"""


def test_the_inspector_of_notebook_3(lab, tmp_path):
    page = lab.run_notebook("3_progressive_kd")
    panel = page.panel("clip")
    page.screenshot(tmp_path / "notebook.png")
    names = page.kernel("list(catalog.classes)")
    read = (
        r"WISE says (.+) with ([\d.]+) %; its (\d+) weighted scores? (?:is|add up to) (-?\d+\.\d+)"
    )
    for move in (
        lambda: panel.press("exit", "ArrowRight"),
        lambda: panel.drag("exit", 1.0),
        lambda: panel.press("clip", "ArrowDown"),
        lambda: panel.press("frame", "ArrowLeft", times=2),
        lambda: panel.press("gop", "ArrowRight"),
        lambda: panel.press("exit", "ArrowLeft", times=3),
    ):
        move()
        label, _, after, total = re.search(read, panel.said()).groups()
        scores = page.kernel(SLOW)
        assert int(after) == page.kernel("inspector.values['exit']")
        assert scores.index(max(scores)) == names.index(label)
        assert abs(float(total) - max(scores)) < 1e-3
        assert "largest error of the reconstruction 0." in panel.said()
    page.screenshot(tmp_path / "moved.png")
    times = panel.latencies
    print(f"median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms of {len(times)}")
    assert not page.errors
