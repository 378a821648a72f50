"""A list as a file, for pages and the command; taking it is itself an event."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from django.db import transaction

from actioncenter.actions.queries import Listing, list_counts, possible_sort
from actioncenter.actions.queries.exporting import COLUMNS, statement
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web.streams import csv_rows, json_rows

FORMATS: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
"""With their content types. Times are UTC in both; a CSV has no cell that a spreadsheet would run."""
KEYS: Final = [column.key for column in COLUMNS]


def export(listing: Listing, form: str, *, by: Actor, address: str) -> Iterator[bytes]:
    """Pieces of the file. The event is written before any of it is made; `address` says which list it was."""
    sort, _ = possible_sort(listing, list_counts(listing))
    listing = replace(listing, sort=sort, position=None)
    with transaction.atomic():
        log.record(
            Kind.EXPORT_MADE,
            by=by,
            subject=f"list:{listing.tab}",
            detail={"list": address, "format": form, "order": str(listing.order)},
        )
    wanted = statement(listing)
    if form == "jsonl":
        return json_rows(wanted, KEYS)
    heads = {column.key: column.head for column in COLUMNS}
    return csv_rows(wanted, heads, [column.key for column in COLUMNS if column.outside])
