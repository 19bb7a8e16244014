"""A stricter reader than any browser: the page must be well-formed, static and self-contained."""

import re
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

FORBIDDEN = {
    "script",
    "iframe",
    "object",
    "embed",
    "link",
    "base",
    "form",
    "input",
    "foreignObject",
}
# what HTML lets close itself: void elements, and those of SVG and MathML
SELF_CLOSED = re.compile(r"<(?!meta|img|br|hr|line|circle|rect|m[a-z]+|none)[a-z0-9]+[^<>]*/>")


def parse(path: Path) -> ElementTree.Element:
    """Parse as XML (which forgives nothing) and check what no page of ours may hold."""
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>\n")
    tree = ElementTree.fromstring(page)
    names = [local(node) for node in tree.iter()]
    assert not FORBIDDEN & set(names)
    assert names.count("main") == names.count("h1") == names.count("title") == 1
    assert tree.get("lang") == "en"
    for node in tree.iter():
        check_node(node, path)
    identifiers = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(identifiers) == len(set(identifiers))
    check_policy(tree)
    assert not SELF_CLOSED.search(page)
    assert not re.search(r"url\(|@import|expression\(", page)
    return tree


def check_node(node: ElementTree.Element, path: Path) -> None:
    name = local(node)
    for key, value in node.attrib.items():
        assert not key.startswith("on"), (name, key)
        if key == "href":
            assert name == "a"
            check_link(value, path)
        if key in ("src", "srcset", "xlink:href", "action", "poster"):
            assert (name, key) == ("img", "src")
            assert value.startswith("data:image/png;base64,")
    if name == "img":
        assert node.get("alt")
        assert node.get("width")
    if name == "th":
        assert node.get("scope")
    if name == "table":
        assert node.find(".//th") is not None
    if name == "details":  # what is folded has a name, and only one
        assert [local(child) for child in node].index("summary") == 0
        assert len([child for child in node if local(child) == "summary"]) == 1
        assert text(node[0])
        assert node.get("open") in (None, "open")
    if name in ("ul", "ol"):
        assert {local(child) for child in node} == {"li"}


def check_link(link: str, path: Path) -> None:
    parts = urlsplit(link)
    assert parts.scheme in ("", "https"), link
    if parts.scheme == "" and parts.path and not parts.path.endswith("../index.html"):
        assert (path.parent / parts.path).is_file(), link


def check_policy(tree: ElementTree.Element) -> None:
    policies = [m.get("content") for m in tree.iter("meta") if m.get("http-equiv")]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def local(node: ElementTree.Element) -> str:
    return node.tag.rsplit("}", 1)[-1]


def text(node: ElementTree.Element) -> str:
    return re.sub(r"\s+", " ", "".join(node.itertext())).strip()


def find(tree: ElementTree.Element, css_class: str) -> list[ElementTree.Element]:
    return [node for node in tree.iter() if css_class in (node.get("class") or "").split()]
