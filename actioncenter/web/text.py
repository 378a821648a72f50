"""Text from outside, made safe to look at: what can't be seen is named, what is long keeps its end."""

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

CAP = 300
TAIL = 12
HEAD = 4
PATH_TAIL = 24
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Assigned letters, marks and symbols that draw nothing."""
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def is_hidden(char: str) -> bool:
    """Whether a reader could not see this character, or would see others moved by it."""
    return unicodedata.category(char) in HIDDEN_CATEGORIES or char in INVISIBLE


def name_of(char: str) -> str:
    return f"U+{ord(char):04X}"


def is_plain(text: str) -> bool:
    return text.isprintable() and INVISIBLE.isdisjoint(text)


def capped(text: str, cap: int = CAP) -> str:
    """At most `cap` characters; the middle goes, because the end of a name carries its type."""
    if len(text) <= cap:
        return text
    tail = cap // 3
    return f"{text[: cap - tail - 1]}…{text[-tail:]}"


def runs(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of (text to show, name of the hidden character after it or '')."""
    start = 0
    for index, char in enumerate(text):
        if is_hidden(char):
            yield text[start:index], name_of(char)
            start = index + 1
    yield text[start:], ""


def marked(text: str) -> SafeString:
    """Escaped, hidden characters replaced by a marked code point; not isolated, not capped."""
    if is_plain(text):
        return conditional_escape(str(text))
    return format_html_join(
        "",
        "{}{}",
        (
            (shown, format_html('<span class="mark">{}</span>', name) if name else "")
            for shown, name in runs(text)
        ),
    )


def in_plain_text(text: str, cap: int = CAP) -> str:
    """The same for attributes, titles and mail: hidden characters as [U+202E]."""
    text = capped(text, cap)
    if is_plain(text):
        return text
    return "".join(f"{shown}[{name}]" if name else shown for shown, name in runs(text))


def cut(text: str) -> tuple[str, str]:
    """Head that may shrink, and tail that must stay. Right-to-left text is never cut: its order would change."""
    if len(text) <= TAIL or any(unicodedata.bidirectional(char) in RIGHT_TO_LEFT for char in text):
        return text, ""
    at = max(len(text) - TAIL, HEAD)
    separator = max(text.rfind("\\"), text.rfind("/"))
    if 0 < len(text) - separator <= PATH_TAIL and separator > 0:
        at = separator
    while at > 0 and (unicodedata.combining(text[at]) or text[at] in "\u200d\ufe0f"):
        at -= 1
    return text[:at], text[at:]


def short_age(span: timedelta) -> str:
    """How long, in one unit, for lists: 42m, 2h, 6d."""
    minutes = max(0, int(span.total_seconds()) // 60)
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 48 * 60:
        return f"{minutes // 60}h"
    return f"{minutes // (24 * 60)}d"


def age_of(moment: datetime, now: datetime | None = None) -> str:
    """Age of an aware moment; the same text serves for time left."""
    return short_age(abs((now or datetime.now(UTC)) - moment))


def defanged(url: str) -> str:
    """A URL nobody can click or paste by accident: hxxps://host[.]example/path."""
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "", url
    host, slash, path = rest.partition("/")
    scheme = scheme.lower().replace("tt", "xx", 1) if scheme.lower().startswith("http") else scheme
    return f"{scheme}{found}{host.replace('.', '[.]')}{slash}{path}"
