"""Notebook prose as safe markup."""

from xml.etree import ElementTree

import pytest

from redistill.reporting.markdown import clean, formula, prose, title

M = "{http://www.w3.org/1998/Math/MathML}"


def tree(markup):
    return ElementTree.fromstring(f"<div>{markup}</div>")


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "<div onclick='x'>\n\n**b**\n\n</div>",
        "[x](javascript:alert(1))",
        "[x](JAVASCRIPT:alert(1))",
        "[x](data:text/html,y)",
        "[x](http://plain.example)",
        "[x](//other.example/a)",
        "[x](/etc/passwd)",
        "[x](file:///etc/passwd)",
        "[x](\\\\host\\share)",
        "![x](https://remote.example/a.png)",
        "![x](data:image/svg+xml;base64,AA)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "$\\href{javascript:alert(1)}{x}$",
        "$\\text{<script>alert(1)</script>}$",
        "&lt;script&gt; &#60;script&#62;",
    ],
)
def test_nothing_active_gets_through(source):
    found = tree(prose(source))
    names = {node.tag.removeprefix(M) for node in found.iter()}
    assert not names & {"script", "img", "a", "svg", "iframe"}
    assert not any(key.startswith("on") or key == "href" for n in found.iter() for key in n.attrib)


def test_good_links_stay(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    source = "[a](https://arxiv.org/abs/1?x=1&y=2) [b](#part) [c](a.csv) [d](../a.csv) [e](b.csv)"
    found = tree(prose(source, folder=tmp_path))
    links = [node.get("href") for node in found.iter("a")]
    assert links == ["https://arxiv.org/abs/1?x=1&y=2", "#part", "a.csv"]
    assert "".join(found.itertext()).split() == ["a", "b", "c", "d", "e"]


def test_formulas_become_mathml_and_money_does_not():
    found = tree(prose("Let $a_1 = \\frac{1}{2}$ cost $5 or $6.\n\n$$ \\sum_{i=1}^n x_i $$"))
    inline, block = found.iter(f"{M}math")
    assert (inline.get("display"), block.get("display")) == ("inline", "block")
    assert len(list(inline.iter(f"{M}mfrac"))) == len(list(inline.iter(f"{M}msub"))) == 1
    assert "cost $5 or $6." in "".join(found.itertext())


@pytest.mark.parametrize(
    "latex",
    [
        r"\mathcal{L} = T^2 \,\mathrm{KL}(p \,\|\, q)",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"\begin{cases} 1 & x > 0 \\ 0 & x \le 0 \end{cases}",
        r"\hat{y} = \operatorname{argmax}_c \sum_m w_m s_m(c)",
        r"\mathbb{E}\left[ \lVert A_S - A_T \rVert_2^2 \right]",
        r"\lambda_{\max} \approx \sqrt{\alpha \cdot \beta}",
    ],
)
def test_the_papers_kind_of_formula_is_understood(latex):
    assert formula(latex).startswith("<math")
    assert "(1)" not in formula(latex)  # no equation numbers


@pytest.mark.parametrize("latex", [r"\frac", r"\left(", r"{", r"\begin{x}", "\x01", ""])
def test_a_broken_formula_is_shown_as_it_was_typed(latex):
    found = tree(formula(clean(latex)))
    assert {node.tag.removeprefix(M) for node in found.iter()} <= {"div", "code", "math", "mrow"}


def test_headings_go_down_and_tables_say_what_they_head():
    found = tree(prose("# a\n\n###### b\n\n| x | y |\n|---|--:|\n| 1 | 2 |", demote=1))
    assert [node.tag for node in found if node.tag.startswith("h")] == ["h2", "h6"]
    assert all(node.get("scope") == "col" for node in found.iter("th"))


def test_title_is_taken_out_once():
    assert title("x\n# A *fine* `title` #\n\nrest") == ("A fine title", "x\n\n\nrest")
    assert title("## none") == ("", "## none")
