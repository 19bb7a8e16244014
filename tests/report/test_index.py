"""index.html: all claims with their verdicts, all runs as they ended; and the palette."""

import json
import re
from importlib.resources import files

import pytest
from sample import write_run
from strict import find, parse, text

from redistill.claims import load_claims
from redistill.errors import RunError
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
    assert "38 claims: 38 not yet run." in text(find(tree, "lead")[0])
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


def test_ten_runs_give_verdicts_with_a_dot_for_each_and_links(reports):
    for seed in range(10):
        build_report(write_run(reports / f"s{seed}", seed=seed, profile="standard"))
    tree = parse(build_index(reports))
    for claim in ("G2", "G3"):
        (line,) = rows_of(tree, claim)
        assert "✓ reproduced" in text(line)
        assert "synthetic scene_led, standard" in text(line)
        assert len(find(line, "seed")) == 10
        links = [a.get("href") for a in line.iter("a")]
        assert sorted(links) == [f"s{seed}/report.html" for seed in range(10)]
    shown = re.search(
        r"([+−][\d.]+) \[(.+?), (.+?)\] points · 10 run", text(rows_of(tree, "G2")[0])
    )
    low, mean, high = (float(shown[i].replace("−", "-")) for i in (2, 1, 3))
    assert low < mean < high
    assert "reproduced" in text(find(tree, "lead")[0])


def test_the_dots_lie_where_the_numbers_are(reports):
    for seed in range(10):
        write_run(reports / f"s{seed}", seed=seed, profile="standard")
    tree = parse(build_index(reports))
    for line in (rows_of(tree, claim)[0] for claim in ("G1", "G2", "G3")):
        svg = line.find(".//svg")
        low, high = (float(svg.find("line[@class='interval']").get(k)) for k in ("x1", "x2"))
        zero = float(svg.find("line[@class='zero']").get("x1"))
        dots = [float(dot.get("cx")) for dot in find(svg, "seed")]
        middle = sum(dots) / len(dots)
        assert low < middle < high
        assert abs((low + high) / 2 - middle) < 0.2
        assert all(0 < dot < 250 for dot in (*dots, zero, low, high))
        assert svg.get("aria-label")


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
    lines = [text(row) for row in tree.find(".//table[@class='runs']/tbody")]
    assert [line.split()[0] for line in lines] == ["d", "c", "b", "a"]
    assert lines[0].endswith("yes")
    assert "not valid" in lines[1]
    assert "✕ killed signal 9" in lines[2]
    assert tree.find(".//table[@class='runs']//a").get("href") == "reference/d/report.html"


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
