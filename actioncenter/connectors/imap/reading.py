"""One message, taken apart for people to look at: its text, never its form, and nothing that it refers to is fetched."""

import hashlib
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from html.parser import HTMLParser
from typing import Final

from actioncenter.connectors.base import Json, Permanent, Reading
from actioncenter.connectors.imap.finding import decoded, payload, said_in
from actioncenter.connectors.imap.mailbox import Mailbox, Wanted

MOST_BYTES: Final = 25_000_000
MOST_HTML: Final = 2_000_000
"""Characters that are taken apart."""
MOST_HEADERS: Final = 200
MOST_LINKS: Final = 200
MOST_ATTACHMENTS: Final = 100
LONGEST_HEADER: Final = 2_000
LONGEST_TEXT: Final = 50_000
_LINK: Final = re.compile(r"""https?://[^\s<>"']+""", re.IGNORECASE)
_UNREAD: Final = frozenset({"script", "style", "head", "title"})
_BREAKS: Final = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table"})


def read(box: Mailbox, wanted: Wanted) -> Reading:
    """Leaves it unseen. Raises Permanent, and Lost."""
    copies = box.locate([wanted])
    if not copies:
        raise Permanent("gone", "The message is no longer there.")
    if copies[0].size > MOST_BYTES:
        raise Permanent("too_large", f"The message has more than {MOST_BYTES // 1_000_000} MB.")
    folder, uidvalidity, uid = copies[0].at
    for _, items in box.described([(folder, uidvalidity, [uid])], "BODY.PEEK[]"):
        return apart(items["BODY[]"] or b"")
    raise Permanent("gone", "The message is no longer there.")


def apart(raw: bytes) -> Reading:
    message = message_from_bytes(raw)
    parts = [part for part in message.walk() if not part.is_multipart()]
    bodies = [part for part in parts if _is_body(part)]
    text = next((said_in(part) for part in bodies if part.get_content_type() == "text/plain"), None)
    pages = [_Page.of(said_in(part)) for part in bodies if part.get_content_type() == "text/html"]
    if text is None:
        text = "\n".join(page.text for page in pages)
    links = list(dict.fromkeys([*(link for page in pages for link in page.links), *_LINK.findall(text)]))
    attachments = [_attachment(part) for part in parts if not _is_body(part)]
    headers = [(name, decoded(value)[:LONGEST_HEADER]) for name, value in message.items()]
    cut = (
        len(text) > LONGEST_TEXT
        or len(links) > MOST_LINKS
        or len(attachments) > MOST_ATTACHMENTS
        or len(headers) > MOST_HEADERS
    )
    return Reading(
        headers[:MOST_HEADERS],
        text[:LONGEST_TEXT],
        [link[:LONGEST_HEADER] for link in links[:MOST_LINKS]],
        attachments[:MOST_ATTACHMENTS],
        cut,
    )


def _is_body(part: Message) -> bool:
    named = part.get_filename() or part.get_content_disposition() == "attachment"
    return part.get_content_type() in {"text/plain", "text/html"} and not named


def _attachment(part: Message) -> Json:
    content = payload(part)
    return {
        "name": decoded(part.get_filename())[:255],
        "type": part.get_content_type()[:120],
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


class _Page(HTMLParser):
    """What HTML says, and where it leads."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self._said: list[str] = []
        self._within = 0

    @classmethod
    def of(cls, html: str) -> "_Page":
        page = cls()
        page.feed(html[:MOST_HTML])
        page.close()
        return page

    @property
    def text(self) -> str:
        return "\n".join(_lines("".join(self._said)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within += tag in _UNREAD
        if tag in _BREAKS:
            self._said.append("\n")
        self.links += [value for name, value in attrs if name in {"href", "src", "action"} and value]

    def handle_endtag(self, tag: str) -> None:
        self._within = max(0, self._within - (tag in _UNREAD))

    def handle_data(self, data: str) -> None:
        if not self._within:
            self._said.append(data)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if shown := " ".join(line.split()):
            yield shown
