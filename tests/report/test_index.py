"""index.html: all claims with their verdicts, all runs as they ended; and the palette."""

import json
import re
from importlib.resources import files

import numpy as np
import pytest
from sample import write_run
from strict import find, parse, text

from redistill.claims import load_claims
from redistill.errors import RunError
from redistill.papers import PAPERS
from redistill.reporting.index import _bend, bends
from redistill.reporting.report import build_index, build_report


@pytest.fixture
def reports(tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder


def rows_of(tree, claim):
    body = next(b for b in tree.iter("tbody") if b.find(f".//th[@id='{claim}']") is not None)
    return body.findall("tr")


def test_an_empty_folder_lists_all_claims_as_not_yet_run(reports):
    tree = parse(build_index(reports))
    every = len(load_claims())
    assert f"{every} claims: {every} not yet run." in text(find(tree, "lead")[0])
    assert "No run yet" in text(tree.find(".//header"))
    assert all(tree.find(f".//th[@id='{claim.id}']") is not None for claim in load_claims())
    assert "P3" in text(tree)
    assert "+11.42" in text(rows_of(tree, "P3")[0])
    assert "○ not yet run" in text(rows_of(tree, "P3")[0])
    assert "— not testable here" in text(rows_of(tree, "P3")[1])


def test_quick_runs_are_shown_hollow_and_decide_nothing(reports):
    build_report(write_run(reports / "quick"))
    tree = parse(build_index(reports))
    assert "they check the machinery and give no verdict" in text(tree.find(".//header"))
    first = rows_of(tree, "G1")[0]
    assert "not yet run" in text(first)
    assert "machinery check" in text(first)
    assert len(find(first, "check")) == 1
    assert not find(first, "seed")
    assert text(tree.find(".//table[@class='runs']/tbody/tr")).endswith("no: quick")
    assert tree.find(".//details[@class='group']").get("open")


def test_ten_runs_give_verdicts_with_a_dot_for_each_and_links(reports):
    for seed in range(10):
        build_report(write_run(reports / f"s{seed}", seed=seed, profile="standard"))
    tree = parse(build_index(reports))
    for claim in ("G2", "G3"):
        (line,) = rows_of(tree, claim)
        assert "✓ reproduced" in text(line)
        assert len(find(line, "seed")) == 10
        links = [a.get("href") for a in line.iter("a")]
        assert sorted(links) == [f"s{seed}/report.html" for seed in range(10)]
    shown = re.search(r"([+−][\d.]+) \[(.+?), (.+?)\] points 10 runs", text(rows_of(tree, "G2")[0]))
    low, mean, high = (float(shown[i].replace("−", "-")) for i in (2, 1, 3))
    assert low < mean < high
    assert "reproduced" in text(find(tree, "lead")[0])
    (section,) = [s for s in tree.iter("section") if s.get("aria-labelledby") == "ground"]
    assert "on synthetic scene_led, standard" in text(find(section, "sub")[0])  # said once


def far(value):
    """The place of a value on an axis that is logarithmic beyond 5, by the area under its slope."""
    steps = np.linspace(0, value, 20_001)
    return float(np.trapezoid(np.minimum(1, 5 / np.maximum(np.abs(steps), 1e-9)), steps))


def test_the_dots_lie_where_the_numbers_are(reports):
    """All three strips share one axis: -5 to 15 points, beyond 5 logarithmic if it is so long."""
    gaps = {"G2": [], "G3": []}
    for seed in range(10):
        folder = write_run(reports / f"s{seed}", seed=seed, profile="standard", gain=0.01)
        rows = json.loads((folder / "record.json").read_text())["rows"]
        value = {
            r["keys"]["modality"]: r["value"] for r in rows if r["keys"].get("split") == "test"
        }
        gaps["G2"].append(100 * (value["iframe"] - value["residual"]))
        gaps["G3"].append(100 * (value["residual"] - value["mv"]))
    tree = parse(build_index(reports))
    label = rows_of(tree, "G2")[0].find(".//svg").get("aria-label").replace("−", "-")
    low, high = map(float, re.search(r"axis from (\S+) to ([\d.]+)", label).groups())
    assert high > 15 or "logarithmic" not in label
    for claim, differences in gaps.items():
        svg = rows_of(tree, claim)[0].find(".//svg")
        dots = [float(dot.get("cx")) for dot in find(svg, "seed")]
        place = far if "logarithmic" in label else float
        start, end = place(low), place(high)
        wanted = sorted(6 + 238 * (place(d) - start) / (end - start) for d in differences)
        assert sorted(dots) == pytest.approx(wanted, abs=0.1)
        zero = float(svg.find("line[@class='zero']").get("x1"))
        assert zero == pytest.approx(6 + 238 * (0 - start) / (end - start), abs=0.1)
        ends = [float(svg.find("line[@class='interval']").get(k)) for k in ("x1", "x2")]
        assert ends[0] < sum(dots) / 10 < ends[1]


@pytest.mark.parametrize("value", [-60.0, -7.0, -5.0, -1.0, 0.0, 3.0, 5.0, 5.1, 40.0])
def test_a_bent_axis_is_a_logarithm_far_out_without_a_jump(value):
    assert _bend(value) == pytest.approx(far(value), abs=1e-3)
    assert bends("points", (-2.0, 15.5))
    assert not bends("points", (-15.0, 15.0))
    assert not bends("log10", (-2.0, 40.0))


def test_true_states_of_all_runs_newest_first(reports):
    write_run(reports / "a", seed=1)
    write_run(reports / "b", seed=2, state="killed", cause="signal 9", cell=4, exit_code=137)
    write_run(reports / "c", seed=3)
    (reports / "c" / "record.json").write_text("{")
    write_run(reports / "reference" / "d", seed=4, profile="standard")
    page = parse(build_report(reports / "reference" / "d"))
    assert page.find(".//a").get("href") == "../../index.html"
    (reports / "no_run").mkdir()
    tree = parse(build_index(reports))
    stopped, *sound = [t for t in tree.iter("table") if "runs" in t.get("class")]
    lines = [text(row) for row in stopped.find("tbody")]
    assert [line.split()[0] for line in lines] == ["c", "b"]
    assert "✓ completed Its record is not valid" in lines[0]
    assert "✕ killed signal 9 (cell 4, exit code 137)" in lines[1]
    lines = [text(row) for table in sound for row in table.find("tbody")]
    assert [line.split()[0] for line in lines] == ["a", "d"]  # a group each: quick, standard
    assert [line.split()[-1] for line in lines] == ["quick", "yes"]
    assert sound[1].find(".//a").get("href") == "reference/d/report.html"
    assert "2 with a valid record, 2 that do not count." in text(tree)


def test_attempts_of_a_batch_that_were_killed_stay_and_name_the_one_that_completed(reports):
    name = "3_progressive_kd-0123456789ab"
    write_run(reports / name, seed=1, state="killed", cause="out of memory", cell=4, cells=25)
    write_run(reports / f"{name}-2", seed=2, state="interrupted", cause="by the user")
    write_run(reports / f"{name}-3", seed=3, profile="standard")
    write_run(reports / "3_progressive_kd-0123456789ac", seed=4, state="timeout", cause="budget")
    write_run(reports / "by_hand-2", seed=5, state="failed", cause="an error")
    write_run(reports / "by_hand", seed=6)
    tree = parse(build_index(reports))
    stopped = next(t for t in tree.iter("table") if "stopped" in t.get("class", ""))
    lines = {text(row).split()[0]: text(row) for row in stopped.find("tbody")}
    assert "✕ killed out of memory (cell 4 of 25)" in lines[name]
    assert lines[name].endswith(f"completed as {name}-3")
    assert lines[f"{name}-2"].endswith(f"completed as {name}-3")
    assert lines["3_progressive_kd-0123456789ac"].endswith("–")
    assert lines["by_hand-2"].endswith("–")  # a name that a user chose says nothing of attempts


def test_many_runs_are_folded_by_what_they_are_and_none_is_lost(reports):
    for seed in range(28):
        write_run(reports / f"a{seed}", seed=seed, profile="standard")
        write_run(reports / f"b{seed}", seed=seed, profile="standard", world="crossed")
    tree = parse(build_index(reports))
    groups = find(tree, "group")
    assert [text(one.find("summary")) for one in groups] == [
        f"3_progressive_kd, standard, synthetic {world}: 28 runs"
        for world in ("crossed", "scene_led")
    ]
    assert not any(one.get("open") for one in groups)
    assert sum(len(one.find(".//tbody")) for one in groups) == 56
    lines = rows_of(tree, "G2")
    assert [len(find(line, "seed")) for line in lines] == [28, 28]
    assert [len(line.findall(".//details[@class='behind']//li")) for line in lines] == [28, 28]


def test_the_first_screen_shows_every_claim_with_its_verdict_and_leads_to_it(reports):
    for seed in range(10):
        write_run(reports / f"s{seed}", seed=seed, profile="standard")
    tree = parse(build_index(reports))
    overview = find(tree, "overview")[0]
    chips = {a.get("href")[1:]: text(a) for a in overview.iter("a") if "chip" in a.get("class", "")}
    order = [*(paper for paper in PAPERS if paper != "ground"), "ground"]
    assert list(chips) == [c.id for p in order for c in load_claims() if c.paper == p]
    assert chips["G2"] == "✓ G2 reproduced"
    assert chips["P3"] == "○ P3 not yet run"
    header = tree.find(".//header")
    assert overview in list(header.iter())


def test_failures_come_first_and_claims_not_run_are_folded_behind(reports):
    for seed in range(10):
        write_run(reports / f"s{seed}", seed=seed, profile="standard", gain=-0.3)
    tree = parse(build_index(reports))
    (section,) = [s for s in tree.iter("section") if s.get("aria-labelledby") == "ground"]
    assert [th.get("id") for th in section.iter("th") if th.get("id")] == ["G1", "G2", "G3"]
    assert "✕ not reproduced" in text(rows_of(tree, "G1")[0])
    (section,) = [s for s in tree.iter("section") if s.get("aria-labelledby") == "substage"]
    folded = section.find("details")
    assert text(folded.find("summary")).startswith("11 claims not yet run: S1, S2,")
    assert folded.get("open")  # there is nothing else


def test_an_open_verdict_says_what_it_takes(reports):
    for seed in range(7):
        write_run(reports / f"s{seed}", seed=seed, profile="standard")
    tree = parse(build_index(reports))
    (takes,) = find(rows_of(tree, "G2")[0], "takes")
    assert text(takes) == "3 more runs would make the ten that a verdict takes."


def test_runs_that_do_not_count_reach_no_claim(reports):
    for seed in range(10):
        write_run(reports / f"s{seed}", seed=seed, profile="standard")
        path = reports / f"s{seed}" / "status.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "failed"}))
    tree = parse(build_index(reports))
    assert "none is counted" in text(tree.find(".//header"))
    assert "not yet run" in text(rows_of(tree, "G2")[0])


def test_links_into_the_page_arrive(reports):
    tree = parse(build_index(reports))
    names = {node.get("id") for node in tree.iter()}
    assert {a.get("href")[1:] for a in tree.iter("a") if a.get("href").startswith("#")} <= names


def test_no_folder_is_an_error(reports):
    with pytest.raises(RunError, match="no folder"):
        build_index(reports / "nowhere")


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "link", "good", "bad", "open"])
@pytest.mark.parametrize("ground", ["paper", "raised", "faint"])
def test_every_text_colour_can_be_read(scheme, name, ground):
    """WCAG 2.2 AA asks for a contrast of 4.5."""
    style = files("redistill.reporting").joinpath("templates/style.css").read_text()
    values = re.findall(rf"--{name}: (#[0-9a-f]{{6}})", style)
    grounds = re.findall(rf"--{ground}: (#[0-9a-f]{{6}})", style)
    light, dark = sorted([luminance(values[scheme]), luminance(grounds[scheme])], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
