"""The Markdown of our own documents as HTML. HTML in them stays text (docs/adr/0039)."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.token import Token

Link = Callable[[str], str]
"""From what a link names to where it leads here; empty where that is shown nowhere."""
READER: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


@dataclass(frozen=True, slots=True)
class Section:
    anchor: str
    title: str
    depth: int


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    body: SafeString
    sections: Sequence[Section]


def read(text: str, link: Link) -> Document:
    """Its first heading is its title, which the page shows itself."""
    tokens = READER.parse(text)
    headings = [*_headings(tokens)]
    title = next((section.title for _, section in headings if section.depth == 1), "")
    for at, section in headings:
        if section.depth == 1:
            _hide(tokens[at : at + 3])
        tokens[at].attrSet("id", section.anchor)
    for token in tokens:
        if token.type in {"th_open", "td_open"}:
            _set(token)
        _lead(token.children or (), link)
    body = READER.renderer.render(tokens, READER.options, {})
    return Document(
        title, SafeString(body.strip()), [section for _, section in headings if section.depth > 1]
    )


def anchor_of(title: str) -> str:
    """As GitHub makes it, so that a link works in both places."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[int, Section]]:
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            words = "".join(child.content for child in tokens[at + 1].children or ())
            yield at, Section(anchor_of(words), words, int(token.tag[1:]))


def _hide(tokens: Sequence[Token]) -> None:
    for token in tokens:
        token.hidden, token.children = True, []


def _set(cell: Token) -> None:
    """Without style attributes, which the page's policy forbids."""
    if "right" in str(cell.attrs.pop("style", "")):
        cell.attrSet("class", "num")
    if cell.tag == "th":
        cell.attrSet("scope", "col")


def _lead(inside: Sequence[Token], link: Link) -> None:
    """What leads nowhere becomes plain words."""
    leads = True
    for token in inside:
        if token.type == "link_open":
            address = link(str(token.attrGet("href")))
            leads = bool(address)
            token.attrSet("href", address)
        if token.type in {"link_open", "link_close"}:
            token.hidden = not leads
