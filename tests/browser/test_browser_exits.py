"""The exit explorer in a browser: on drawn exits, in the first notebook, and in its own."""

import re

MODALITIES = ("residual", "mv", "iframe")
CELLS = [
    """
import math, torch
from redistill.exit_scores import FoldExits
from redistill.explore.exits import exit_explorer

noise = torch.Generator().manual_seed(5)
logits, labels = {}, {}
for split in ("val", "test"):
    labels[split] = torch.randint(6, (90,), generator=noise)
    truth = torch.nn.functional.one_hot(labels[split], 6)
    both = torch.randn(12, 90, 6, generator=noise)
    z = 3 * (both + torch.linspace(0.5, 2.0, 12)[:, None, None] * truth)
    logits[split] = {"pkd": dict(zip(("residual", "mv", "iframe"), z.split(4)))}
macs = {"residual": (12_000_000, 15_000_000, 20_000_000, 23_000_000),
        "mv": (10_000_000, 14_000_000, 18_000_000, 21_000_000),
        "iframe": (15_000_000, 21_000_000, 29_000_000, 35_000_000)}
exits = [FoldExits(0, logits, labels, macs, 58_000_000)]
""",
    """
def slow(folds, arm, wise, levels):
    'Hits, clips, MACs and who left early, wrongly, spoiled, saved: clip by clip.'
    lines = []
    for fold in folds:
        name = "wise" if wise else "plain_fused"
        found = fold.ensembles(arm, names=[name])[name]
        scores, equal = found.scores["test"], fold.threshold(found)
        for n, label in enumerate(fold.labels["test"].tolist()):
            for j in range(12):
                z = scores[j, n].double().tolist()
                limit = levels[j // 4]
                sure = 1 / sum(math.exp(each - max(z)) for each in z)
                if sure > (equal if limit == "equal" else limit) or j == 11:
                    break
            names = ("residual", "mv", "iframe")
            cost = sum(fold.macs[m][3] for m in names[: j // 4]) + fold.macs[names[j // 4]][j % 4]
            last = scores[11, n].tolist()
            lines.append((j < 11, z.index(max(z)) == label, last.index(max(last)) == label, cost))
    return [sum(right for _, right, _, _ in lines), len(lines),
            f"{sum(line[3] for line in lines) / len(lines) / 1e6:.2f}",
            sum(early for early, _, _, _ in lines),
            sum(early and not right for early, right, _, _ in lines),
            sum(early and not right and last for early, right, last, _ in lines),
            sum(early and right and not last for early, right, last, _ in lines)]
""",
]
SHOWN = "explorer = exit_explorer(exits)\nexplorer.show()"
LOOP = "exec({!r}, get_ipython().user_ns)".format("import math\n" + CELLS[1])


def numbers(said):
    """Return what the sentence says, as the loop in the kernel returns it."""
    right = re.search(r"(\d+) of (\d+) test clips right .* at ([\d.]+) million", said)
    hits, clips, macs = right.groups()
    moved = re.search(r"(\d+) leave early, (\d+) of them .* get (\d+) of .* and (\d+) of the", said)
    changed = [int(each) for each in moved.groups()] if moved else [0, 0, 0, 0]
    return [int(hits), int(clips), macs, *changed]


def check(page, panel, name="explorer", arm="exits[0].logits['test'].__iter__().__next__()"):
    """The sentence says what the loop finds for the values that the controls have."""
    levels = page.kernel(f"[{name}.values[m] for m in {MODALITIES}]")
    wise = page.kernel(f"{name}.values['wise']")
    found = page.kernel(f"slow(exits, {arm}, {wise}, {levels})")
    assert numbers(panel.said()) == found
    return levels


def play(page, panel):
    """Move every control by mouse and by keyboard."""
    assert check(page, panel) == ["equal"] * 3
    before = panel.picture()
    panel.drag("residual", 0.3)
    levels = check(page, panel)
    assert len(set(levels)) == 1
    assert levels != ["equal"] * 3
    assert panel.picture() != before
    places = page.kernel("[level for _, level in explorer.controls['mv'].options]")
    panel.press("mv", "ArrowRight", times=2)
    assert places.index(check(page, panel)[0]) == places.index(levels[0]) + 2
    panel.click("wise")
    assert "each exit by itself" in panel.said()
    check(page, panel)
    panel.press("wise", "Space")
    assert "weighed by WISE" in panel.said()
    panel.click("linked", "one for each network")
    together = check(page, panel)
    panel.press("iframe", "End")
    assert check(page, panel) == [*together[:2], 1.0]
    panel.drag("mv", 0.05)
    assert check(page, panel)[0] == together[0]
    assert places.index(check(page, panel)[1]) < places.index(together[1])
    panel.press("residual", "Home")
    assert check(page, panel)[0] == 0
    panel.click("linked", "one threshold for all networks")
    assert check(page, panel) == [0.0] * 3
    panel.press("residual", "End")
    assert "No clip leaves early." in panel.said()
    check(page, panel)


def test_every_control_of_the_exit_explorer(lab, tmp_path):
    page = lab.run_cells([*CELLS, SHOWN])
    panel = page.panel("exits")
    play(page, panel)
    page.screenshot(tmp_path / "exits.png")
    print("latencies", [round(each) for each in panel.latencies])
    assert len(panel.latencies) >= 8
    assert not page.errors


def test_a_new_user_plays_at_once_in_the_first_notebook(lab, tmp_path):
    page = lab.run_notebook("0_start_here")
    panel = page.panel("exits")
    page.kernel(LOOP)
    page.screenshot(tmp_path / "first.png")
    play(page, panel)
    assert not page.errors


def test_the_explorer_in_its_notebook(lab, tmp_path):
    page = lab.run_notebook("3_progressive_kd")
    panel = page.panel("tradeoff")
    page.kernel(LOOP)
    page.screenshot(tmp_path / "notebook.png")
    assert "ms on this machine" in panel.said()
    assert check(page, panel, arm="config.wise_arm") == ["equal"] * 3
    panel.drag("residual", 0.4)
    panel.press("iframe", "ArrowLeft")
    assert len(set(check(page, panel, arm="config.wise_arm"))) == 1
    panel.press("wise", "Space")
    check(page, panel, arm="config.wise_arm")
    assert not page.errors
