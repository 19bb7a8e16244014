"""Notebook prose as safe HTML: no raw HTML, no scripts, formulas as MathML.

The markup is well-formed XML too, so that a strict parser can check whole pages.
"""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

_MATHML = re.compile(r"math|none|m(?!action|glyph)[a-z]+")
_ATTRIBUTES = re.compile(
    r"display|displaystyle|mathvariant|stretchy|fence|separator|form|lspace|rspace|width|height|"
    r"depth|accent|movablelimits|columnalign|rowspacing|columnspacing|linethickness|scriptlevel|"
    r"minsize|maxsize|largeop|symmetric|notation|columnlines|rowlines"
)
_ALIGNED = re.compile(r"\\(begin|end)\{aligned\}")  # latex2mathml knows it as align only
_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def prose(text: str, *, folder: Path | None = None, demote: int = 0) -> str:
    """Return markdown ``text`` as HTML.

    Headings go ``demote`` levels down.  Links stay where they are https, point into the page, or
    name a file inside ``folder``; of any other link, and of pictures, only the text stays.
    """
    md = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).enable(["table"])
    md.use(dollarmath_plugin, allow_space=False, allow_digits=False, renderer=_math_renderer)
    md.add_render_rule("image", lambda _, all_, i, *__: f"<em>{escape(all_[i].content)}</em>")
    md.validateLink = lambda _: True  # type: ignore[method-assign]  # _unlink judges them all
    tokens = md.parse(clean(text))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + demote)}"
        if token.type == "th_open":
            token.attrSet("scope", "col")
        token.children = _unlink(token.children or [], folder)
    return md.renderer.render(tokens, md.options, {})


def formula(latex: str, *, display: bool = False) -> str:
    """Return ``latex`` as MathML; as code if it cannot be read or would bring in other markup."""
    try:
        tree = ElementTree.fromstring(
            convert(_ALIGNED.sub(r"\\\1{align*}", latex), display="block" if display else "inline")
        )
    except Exception:  # latex2mathml raises many kinds of error, bare IndexError among them
        return f"<code>{escape(latex)}</code>"
    for node in tree.iter():
        node.tag = node.tag.removeprefix(f"{{{_NAMESPACE}}}")
        if not _MATHML.fullmatch(node.tag):
            return f"<code>{escape(latex)}</code>"
        node.attrib = {k: v for k, v in node.attrib.items() if _ATTRIBUTES.fullmatch(k)}
    tree.set("xmlns", _NAMESPACE)
    return ElementTree.tostring(tree, encoding="unicode")


def clean(text: str) -> str:
    """Remove characters that no HTML or XML page may hold; tabs and line ends stay."""
    return _CONTROL.sub("", text)


def title(text: str) -> tuple[str, str]:
    """Split off the first level-one heading: (its plain text or "", the rest)."""
    found = re.search(r"^#[ \t]+(.+?)[ \t#]*$", text, flags=re.MULTILINE)
    if not found:
        return "", text
    return re.sub(r"[*_`]", "", found[1]), text[: found.start()] + text[found.end() :]


def _math_renderer(latex: str, options: dict[str, Any]) -> str:
    return formula(latex, display=options["display_mode"])


def _may_link(link: str, folder: Path | None) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    if parts.scheme or parts.netloc or link.startswith(("/", "\\")):
        return parts.scheme == "https" and bool(parts.netloc)
    if folder is None or not parts.path:
        return link.startswith("#")
    target = (folder / parts.path).resolve()
    return target.is_relative_to(folder.resolve()) and target.is_file()


def _unlink(tokens: Sequence[Token], folder: Path | None) -> list[Token]:
    """Return inline tokens without the links that may not be; their text stays."""
    kept, allowed = [], []
    for token in tokens:
        if token.type == "link_open":
            link = str(token.attrGet("href") or "")
            allowed.append(_may_link(link, folder))
            token.attrs = {"href": link, "rel": "noreferrer"}
        if not token.type.startswith("link_") or allowed[-1]:
            kept.append(token)
        if token.type == "link_close":
            allowed.pop()
    return kept
