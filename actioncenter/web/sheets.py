"""Tables as files that a spreadsheet opens without running anything in them."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from django.http import HttpResponse

from actioncenter.web.text import is_hidden

TRIGGERS: Final = frozenset("=+-@|%\t\r\n\0")
"""What begins a formula or breaks a cell; other widths of the same character count too."""


def neutral(value: object) -> str:
    """A cell as text. One that a spreadsheet would take for a formula begins with an apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if _is_dangerous(text) else text


def _is_dangerous(text: str) -> bool:
    """By the first character that isn't skipped: spaces of any kind, and what draws nothing, are."""
    for char in text:
        if unicodedata.normalize("NFKC", char) in TRIGGERS:
            return True
        if not (char.isspace() or is_hidden(char)):
            return False
    return False


def as_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """RFC 4180: commas, CRLF, every cell in quotes, quotes doubled."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(head)
    writer.writerows([neutral(value) for value in row] for row in rows)
    return out.getvalue()


def csv_file(name: str, text: str) -> HttpResponse:
    """`name` is our own words: letters, digits, dashes and dots."""
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
