"""A list as a file, for pages and the command; taking it is itself an event."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.db import transaction

from actioncenter.actions.queries import Listing, list_counts, possible_sort
from actioncenter.actions.queries.exporting import (
    COLUMNS,
    TARGET_COLUMNS,
    Column,
    statement,
    target_statement,
)
from actioncenter.actions.queries.targets import Targets
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web.sheets import as_csv
from actioncenter.web.statements import Compiled
from actioncenter.web.streams import csv_rows, json_rows

FORMATS: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
"""With their content types. Times are UTC in both; a CSV has no cell that a spreadsheet would run."""
KEYS: Final = [column.key for column in COLUMNS]


def export(listing: Listing, form: str, *, by: Actor, address: str) -> Iterator[bytes]:
    """Pieces of the file. The event is written before any of it is made; `address` says which list it was."""
    sort, _ = possible_sort(listing, list_counts(listing))
    listing = replace(listing, sort=sort, position=None)
    detail = {"list": address, "format": form, "order": str(listing.order)}
    _record(f"list:{listing.tab}", detail, by=by)
    return _pieces(statement(listing), COLUMNS, form)


def export_targets(asked: Targets, form: str, *, by: Actor, address: str) -> Iterator[bytes]:
    """As `export`, the targets of one action."""
    _record("list:targets", {"list": address, "format": form}, by=by)
    return _pieces(target_statement(asked), TARGET_COLUMNS, form)


def export_figures(head: Sequence[str], rows: Iterable[Sequence[object]], *, by: Actor, address: str) -> str:
    """A report as CSV, short enough to be held; recorded as `export` is."""
    _record("list:reports", {"list": address, "format": "csv"}, by=by)
    return as_csv(head, rows)


def _record(subject: str, detail: Mapping[str, Any], *, by: Actor) -> None:
    with transaction.atomic():
        log.record(Kind.EXPORT_MADE, by=by, subject=subject, detail=detail)


def _pieces(wanted: Compiled | None, columns: Sequence[Column], form: str) -> Iterator[bytes]:
    if form == "jsonl":
        return json_rows(wanted, [column.key for column in columns])
    heads = {column.key: column.head for column in columns}
    return csv_rows(wanted, heads, [column.key for column in columns if column.outside])
