"""The journal in a browser: a batch launched from the notebook, the tab closed, looked at again."""

import re
import time

from driver import ROOT
from test_browser_notebooks import pictures

CELLS = [
    f"""
import os, sys
sys.path.insert(0, {str(ROOT / "tests" / "batch")!r})
from pathlib import Path
from tiny_runs import FEED, RECORD, TRAIN, write_notebook
from redistill.explore.journal import journal, launch
from redistill.figures import style
style()
place = Path.cwd() / "batch"
place.mkdir(exist_ok=True)
os.environ["REDISTILL_CACHE"] = str(place / "cache")
slow = TRAIN.replace("LETTER", "tiny").replace("RATE", "0.01").replace("steps=18", "steps=60")
if not (place / "tiny.ipynb").exists():
    write_notebook(place / "tiny.ipynb", FEED, slow.replace("0.1)", "1.0)"), RECORD)
panel = journal(place / "reports")
panel.show()
"""
]


def waited(panel, text, seconds=90):
    until = time.monotonic() + seconds
    while not re.search(text, panel.said()):
        assert time.monotonic() < until, f"not {text!r}: {panel.said()}"
        panel.page.tab.wait_for_timeout(100)


def test_a_batch_goes_on_and_is_seen_when_the_browser_comes_back(lab):
    page = lab.run_cells(CELLS)
    panel = page.panel("journal")
    assert panel.said().endswith("reports: 0 runs.")
    assert page.kernel(
        "bool([launched := launch(place / 'tiny.ipynb', '-g', 'data_seed', '0', '1', '--slots',"
        " '1', reports=place / 'reports')])"
    )
    waited(panel, "2 waiting")
    waited(panel, r"phase tiny: epoch \d+ of 20 is done")
    assert page.kernel("panel.said") == panel.said()
    before = panel.picture()
    panel.click("follow")
    assert panel.said().endswith("Paused: the disk may say more by now.")
    panel.page.tab.wait_for_timeout(1500)
    held = panel.said()
    panel.root.locator(".redistill-look").click()
    panel.page.tab.wait_for_timeout(500)
    assert panel.said() != held
    panel.press("follow", "Space")
    assert "Paused" not in panel.said()
    waited(panel, r"phase tiny: epoch (9|1\d) of 20 is done")
    assert panel.picture() != before
    panel.press("run", "ArrowDown", changes=False)  # from the one at work to the same by its name
    assert page.kernel("panel.values['run']").startswith("tiny-")
    panel.choose("run", "the run at work", changes=False)
    if folder := pictures():
        panel.root.screenshot(path=str(folder / "journal-at-work.png"))
    page.tab.close()  # the browser is gone; the batch is not
    time.sleep(2)
    again = lab.run_cells([*CELLS[:1]])
    panel = again.panel("journal")
    waited(panel, "running, cell 4 of 5")
    waited(panel, "1/2 runs done")
    assert again.kernel("len([t for t in __import__('asyncio').all_tasks()"
                        " if t.get_name() == 'redistill-journal'])") == 1  # fmt: skip
    waited(panel, r"2 runs \(2 completed\)")
    assert "21 results, 0 figures. Shown: loss, " in panel.said()
    assert not page.errors
    assert not again.errors
    assert "Traceback" not in lab.log()
