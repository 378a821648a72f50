"""Links that lead through the click page: signed, so that nobody can make one that sends people elsewhere.

They lie in mailboxes for years, so whatever was signed with an old key stays good until that key is retired.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from actioncenter.feeds.canonical import Address, NotAnAddress, read

MARK: Final = b"actioncenter click 1\0"
"""So that a signature is good for a link and nothing else."""
SIGNED: Final = 20
"""Bytes of the signature."""
LONGEST: Final = 2048
"""Characters of a URL that can be signed: what browsers and gateways take for a link."""
LONGEST_RECIPIENT: Final = 320
CLICK: Final = "/click/"
_BEGINNING: Final = re.compile(r"https?://[^/?#]", re.IGNORECASE)


class BadLink(ValueError):
    """No link of ours, or one that leads nowhere a browser may be sent; the text says why."""


@dataclass(frozen=True, slots=True)
class Link:
    """`url` is as it was signed, `address` what it means."""

    url: str
    recipient: str
    address: Address


def make(url: str, recipient: str = "") -> str:
    """The path of a link. Raises BadLink."""
    url, recipient = url.strip(), recipient.strip()
    if len(url) > LONGEST or len(recipient) > LONGEST_RECIPIENT or not recipient.isprintable():
        raise BadLink("It is too long to be signed, or its recipient is no text.")
    _leads_to(url)
    body = f"{recipient}\n{url}".encode()
    return f"{CLICK}{_text(_mac(settings.CLICK_KEY, body) + body)}"


def open_(token: str) -> Link:
    """What a link of ours says. Raises BadLink."""
    raw = _bytes(token)
    mac, body = raw[:SIGNED], raw[SIGNED:]
    if not any(hmac.compare_digest(mac, _mac(key, body)) for key in _keys()):
        raise BadLink("It was not made here, or was changed since.")
    recipient, _, url = body.decode().partition("\n")
    return Link(url, recipient, _leads_to(url))


def _leads_to(url: str) -> Address:
    """Looked at as it is written, before anything is made of it: it is what the browser will get."""
    if not _BEGINNING.match(url):
        raise BadLink("Only http and https lead anywhere.")
    if "\\" in url or not url.isprintable() or any(each.isspace() for each in url):
        raise BadLink("It has signs that browsers read in different ways.")
    try:
        return read(url)
    except NotAnAddress as error:
        raise BadLink(str(error)) from None


def _keys() -> Iterable[bytes]:
    return (settings.CLICK_KEY, *settings.CLICK_KEY_FALLBACKS)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, MARK + body, "sha256")[:SIGNED]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadLink("It is cut off or was changed.") from None
    # One text for each content: what is left over of the last letter says nothing.
    if _text(raw) != text:
        raise BadLink("It is cut off or was changed.")
    return raw
