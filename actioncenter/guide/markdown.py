"""The Markdown of our own documents as HTML: headings, paragraphs, lists, tables, code, links. Nothing else is understood."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Link = Callable[[str], str]
"""From what a link names to where it leads here; empty where that is shown nowhere."""
FENCE: Final = "```"
INDENT: Final = "    "
HEADING: Final = re.compile(r"(#{1,4}) (.+)")
ITEM: Final = re.compile(r"(-|\d+\.) +")
CELLS: Final = re.compile(r"(?<!\\)\|")
INLINE: Final = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>.+?)\*\*|\*(?P<em>[^*\s](?:[^*]*[^*\s])?)\*"
    r"|\[(?P<text>(?:`[^`]*`|[^\]])+)\]\((?P<to>[^)\s]+)\)"
)
MARKUP: Final = re.compile(r"[`*]|\]\([^)]*\)|\[")


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


class Lines:
    """Those that are left."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines, self.at = lines, 0

    def next(self) -> str | None:
        return self.lines[self.at] if self.at < len(self.lines) else None

    def take(self) -> str:
        self.at += 1
        return self.lines[self.at - 1]

    def take_while(self, fits: Callable[[str], bool]) -> list[str]:
        taken = []
        while (line := self.next()) is not None and fits(line):
            taken.append(self.take())
        return taken


def read(text: str, link: Link) -> Document:
    """Its first heading is its title."""
    sections: list[Section] = []
    body = _joined(_blocks(Lines(text.splitlines()), link, sections))
    title = next((section.title for section in sections if section.depth == 1), "")
    return Document(title, body, [section for section in sections if section.depth > 1])


def anchor_of(title: str) -> str:
    """As GitHub makes it, so that a link works in both places."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _blocks(lines: Lines, link: Link, sections: list[Section]) -> Iterator[SafeString]:
    while (line := lines.next()) is not None:
        if not line.strip():
            lines.take()
        elif line.startswith(FENCE):
            yield _fenced(lines)
        elif line.startswith(INDENT):
            yield _code(lines.take_while(lambda each: each.startswith(INDENT) or not each.strip()))
        elif heading := HEADING.fullmatch(line):
            lines.take()
            yield _heading(heading, link, sections)
        elif line.startswith("|"):
            yield _table(lines.take_while(lambda each: each.startswith("|")), link)
        elif ITEM.match(line):
            yield _list(lines, link, sections)
        else:
            first = lines.take()
            rest = lines.take_while(_goes_on)
            yield format_html("<p>{}</p>", _inline(" ".join([first, *rest]), link))


def _goes_on(line: str) -> bool:
    """A line of a paragraph after its first."""
    return bool(line.strip()) and not line.startswith((FENCE, "|", "#")) and not ITEM.match(line)


def _fenced(lines: Lines) -> SafeString:
    lines.take()
    inside = lines.take_while(lambda each: not each.startswith(FENCE))
    if lines.next() is not None:
        lines.take()
    return format_html("<pre><code>{}</code></pre>", "\n".join(inside))


def _code(inside: Sequence[str]) -> SafeString:
    return format_html(
        "<pre><code>{}</code></pre>", "\n".join(line[len(INDENT) :] for line in inside).rstrip()
    )


def _heading(found: re.Match[str], link: Link, sections: list[Section]) -> SafeString:
    depth, title = len(found[1]), MARKUP.sub("", found[2])
    section = Section(anchor_of(title), title, depth)
    sections.append(section)
    if depth == 1:
        return SafeString()
    # The page has its own h1.
    shape = SafeString("<h{0} id='{1}'>{2}</h{0}>")
    return format_html(shape, depth, section.anchor, _inline(found[2], link))


def _table(rows: Sequence[str], link: Link) -> SafeString:
    head, _, *body = rows

    def cells(row: str, shape: str) -> SafeString:
        texts = CELLS.split(row.strip().strip("|"))
        return format_html_join(
            "", SafeString(shape), ((_inline(text.strip().replace("\\|", "|"), link),) for text in texts)
        )

    return format_html(
        "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
        cells(head, "<th scope='col'>{}</th>"),
        format_html_join("", "<tr>{}</tr>", ((cells(row, "<td>{}</td>"),) for row in body)),
    )


def _list(lines: Lines, link: Link, sections: list[Section]) -> SafeString:
    """An item goes on as long as lines are indented; what follows on its first line may also stand at the edge."""
    items, numbered = [], (lines.next() or "")[0].isdigit()
    while (line := lines.next()) is not None and (marker := ITEM.match(line)):
        if marker[1][0].isdigit() != numbered:
            break
        width = marker.end()
        inside = [lines.take()[width:], *(each.strip() for each in lines.take_while(_goes_on))]
        while _is_inside(lines, width):
            inside += (each[width:] for each in lines.take_while(_is_empty))
            inside += (each[width:] for each in lines.take_while(_indented(width)))
        items.append(_item(inside, link, sections))
        lines.take_while(_is_empty)
    made = format_html_join("", "<li>{}</li>", ((item,) for item in items))
    return format_html("<ol>{}</ol>" if numbered else "<ul>{}</ul>", made)


def _is_empty(line: str) -> bool:
    return not line.strip()


def _indented(width: int) -> Callable[[str], bool]:
    return lambda line: line.startswith(" " * width)


def _is_inside(lines: Lines, width: int) -> bool:
    ahead = next((line for line in lines.lines[lines.at :] if line.strip()), "")
    return ahead.startswith(" " * width)


def _item(inside: Sequence[str], link: Link, sections: list[Section]) -> SafeString:
    if all(line.strip() for line in inside) and not any(line.startswith((FENCE, "|")) for line in inside):
        first, *nested = _nested(inside)
        below = _joined(_blocks(Lines(nested), link, sections))
        return _inline(first, link) + below
    return _joined(_blocks(Lines(inside), link, sections))


def _nested(inside: Sequence[str]) -> Sequence[str]:
    """The words of an item in one line, then the lines of a list in it."""
    at = next((at for at, line in enumerate(inside) if at and ITEM.match(line)), len(inside))
    return [" ".join(line.strip() for line in inside[:at]), *inside[at:]]


def _inline(text: str, link: Link) -> SafeString:
    parts, at = [], 0
    for found in INLINE.finditer(text):
        parts += [format_html("{}", text[at : found.start()]), _marked(found, link)]
        at = found.end()
    return _joined([*parts, format_html("{}", text[at:])])


def _marked(found: re.Match[str], link: Link) -> SafeString:
    if found["code"]:
        return format_html("<code>{}</code>", found["code"])
    if found["strong"]:
        return format_html("<strong>{}</strong>", _inline(found["strong"], link))
    if found["em"]:
        return format_html("<em>{}</em>", _inline(found["em"], link))
    words, address = _inline(found["text"], link), link(found["to"])
    return format_html('<a href="{}">{}</a>', address, words) if address else words


def _joined(parts: Iterator[SafeString] | Sequence[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))
