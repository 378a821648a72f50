"""Tables as files that a spreadsheet opens without running anything in them."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from django.http import HttpResponse

TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What begins a formula, the full-width forms included."""


def neutral(value: object) -> str:
    """A cell as text. One that a spreadsheet would take for a formula begins with an apostrophe."""
    text = "" if value is None else str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip(" ").startswith(TRIGGERS) else text


def as_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """RFC 4180: commas, CRLF, quotes doubled."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([neutral(value) for value in row] for row in rows)
    return out.getvalue()


def csv_file(name: str, text: str) -> HttpResponse:
    """`name` is our own words: letters, digits, dashes and dots."""
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
