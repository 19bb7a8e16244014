"""report.html of sample runs: first screen, order, truth about failures, safety."""

import json

import pytest
from sample import code, display, figure, markdown, notebook, row, shown, write_run
from strict import find, parse, text

from redistill.errors import RunError
from redistill.reporting.report import build_report

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>\x00\x1b[0m"


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "reports" / "3_progressive_kd-quick")


def rebuild(folder, **files):
    for name, content in files.items():
        suffix = "ipynb" if name == "notebook" else "json"
        (folder / f"{name}.{suffix}").write_text(json.dumps(content))
    return parse(build_report(folder))


def change(folder, name, **values):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_first_screen_has_title_status_profile_key_numbers_and_a_figure(run):
    tree = parse(build_report(run))
    header = tree.find(".//header")
    assert text(header.find("h1")) == "Three networks on compressed video"
    badges = [text(badge) for badge in find(header, "badge")]
    assert badges == ["✓ completed", "○ quick: machinery check, no verdict"]
    tiles = [text(tile) for tile in find(header, "tiles")[0]]
    assert len(tiles) == 4
    assert tiles[0].startswith("accuracy, I-frame")
    assert "240 clips" in tiles[0]
    images = list(header.iter("img"))
    assert len(images) == 1
    assert "Test accuracy by modality" in images[0].get("alt")


def test_the_rest_keeps_the_notebooks_order(run):
    article = parse(build_report(run)).find(".//article")
    flat = text(article)
    parts = ["Claim.", "The GOP in pictures", "Figure 1.", "Training", "epoch 3", "Late fusion",
             "where", "Code cell 6", "accuracy split test seed 3", "Figure 2.", "What it costs",
             "41 872 640"]  # fmt: skip
    places = [flat.index(part) for part in parts]
    assert places == sorted(places)
    assert "Three networks on compressed video" not in flat
    assert len(list(article.iter("{http://www.w3.org/1998/Math/MathML}math"))) == 3


def test_code_is_folded_and_coloured_figures_come_with_their_tables(run):
    tree = parse(build_report(run))
    folded = find(tree, "code")
    assert len(folded) == 8
    assert all(node.tag == "details" and node.get("open") is None for node in folded)
    assert "config = resolve(ProgressiveConfig, locals())" in text(folded[2])
    assert find(folded[0], "s2")
    assert all(len(list(node.iter("table"))) == 1 for node in tree.iter("figure"))


def test_how_it_was_made_is_all_there(run):
    made = find(parse(build_report(run)), "made")[0]
    facts = {
        text(dt): text(dd) for dt, dd in (pair for pair in made.iter("div") if pair[0].tag == "dt")
    }
    wanted = {"epochs": "12", "commit": "4b1f0c2a9d", "torch": "2.13.0", "peak_memory": "1 357 MiB",
              "seconds": "1 min 53 s", "test_reads": "1", "libavcodec": "62.11.100",
              "config_hash": "9f2c" * 16}  # fmt: skip
    assert wanted.items() <= facts.items()


def test_a_page_is_the_same_bytes_each_time(run):
    first = build_report(run).read_bytes()
    assert build_report(run).read_bytes() == first
    assert not list(run.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("state", "word"),
    [("killed", "killed"), ("failed", "failed"), ("timeout", "timeout"), ("disk_full", "disk full"),
     ("interrupted", "interrupted")],
)  # fmt: skip
def test_a_stopped_run_says_where_and_why_and_presents_no_result(tmp_path, state, word):
    folder = write_run(
        tmp_path / "run", state=state, cell=6, exit_code=137, cause="signal 9, out of memory"
    )
    tree = parse(build_report(folder))
    stop = text(find(tree, "stop")[0])
    assert "No number on this page is a result" in stop
    for part in (word, "code cell 6", "signal 9, out of memory", "137"):
        assert part in stop
    assert not find(tree, "tiles")
    assert not list(tree.find(".//header").iter("img"))
    unfinished = [node for block in find(tree, "unfinished") for node in block.iter()]
    assert all(node in unfinished for name in ("table", "img") for node in tree.iter(name))
    summaries = [text(node) for node in tree.iter("summary")]
    assert "Code cell 6: the run stopped here" in summaries
    assert "Code cell 8: did not run" in summaries
    assert "Code cell 5" in summaries


def test_a_run_whose_runner_died_is_told_as_killed(run):
    change(run, "status", state="running", ended=None, pid=2**22 + 1)
    (run / "record.json").unlink()
    tree = parse(build_report(run))
    assert text(find(tree, "badge")[0]) == "✕ killed"
    assert find(tree, "stop")
    assert not find(tree, "tiles")


def test_a_run_whose_runner_died_behind_its_record_is_a_result(run):
    change(run, "status", state="running", ended=None, pid=2**22 + 1)
    tree = parse(build_report(run))
    assert text(find(tree, "badge")[0]) == "✓ completed"
    assert find(tree, "tiles")


@pytest.mark.parametrize("spoil", ["absent", "torn", "incomplete", "other"])
def test_a_completed_run_without_a_valid_record_is_no_result(run, spoil):
    path = run / "record.json"
    {"absent": path.unlink, "torn": lambda: path.write_text(path.read_text()[:300]),
     "incomplete": lambda: path.write_text('{"rows": [], "status": "completed"}'),
     "other": lambda: path.write_text("[1]")}[spoil]()  # fmt: skip
    tree = parse(build_report(run))
    assert "record" in text(find(tree, "stop")[0])
    assert not find(tree, "tiles")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"cells": []}'])
def test_a_missing_or_broken_notebook_still_gives_a_page(run, content):
    path = run / "notebook.ipynb"
    path.unlink() if content is None else path.write_text(content)
    tree = parse(build_report(run))
    assert text(tree.find(".//h1")) == "3_progressive_kd-quick"
    assert bool(find(tree, "gap")) == (content != '{"cells": []}')


def test_a_missing_status_is_told_and_no_folder_is_an_error(run, tmp_path):
    (run / "status.json").unlink()
    assert text(find(parse(build_report(run)), "badge")[0]) == "? unknown"
    with pytest.raises(RunError, match="no run folder"):
        build_report(tmp_path / "nowhere")


def test_nothing_a_notebook_or_record_holds_becomes_active(run):
    entry = row(EVIL, EVIL, unit=EVIL, n=3, **{EVIL: EVIL})
    cells = [
        markdown(f"# {EVIL}\n\n{EVIL} ${EVIL}$ [a](javascript:alert(1))"),
        code(EVIL, shown(entry), {"output_type": "stream", "name": "stdout", "text": EVIL},
             figure(EVIL, [EVIL], [[EVIL]], EVIL),
             display(**{"text/html": EVIL, "image/svg+xml": EVIL, "text/plain": EVIL}),
             {"output_type": "error", "ename": EVIL, "evalue": EVIL, "traceback": [EVIL]}),
    ]  # fmt: skip
    change(run, "status", cause=EVIL, host=EVIL)
    change(run, "record", parameters={EVIL: EVIL}, data={EVIL: {EVIL: [EVIL]}})
    tree = rebuild(run, notebook={"cells": cells, "nbformat": 4})
    assert "<script>alert('x')</script>" in text(tree)
    change(run, "status", state="failed", cell=1)
    parse(build_report(run))


def test_a_page_with_a_bogus_picture_says_that_it_is_left_out(run):
    book = notebook([], png="QUJD")
    tree = rebuild(run, notebook=book)
    assert "not a sound PNG" in text(find(tree, "gap")[0])
