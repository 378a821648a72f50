"""The rows of one statement as a file, passed on as they come: memory for a few hundred of them.

PostgreSQL writes the CSV itself. It knows nothing of spreadsheets, so what could be a formula is looked for in what
it wrote.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from django.db import connection

from actioncenter.web.sheets import neutral
from actioncenter.web.statements import Compiled, ready

Buffer = bytes | memoryview
AT_ONCE: Final = 500
"""Rows."""
DOUBTFUL: Final = re.compile(rb',"[\x00-\x20=+\-@|%\x7f-\xff]')
"""The beginning of a quoted cell that may be a formula: with an ASCII trigger, a space or what isn't ASCII.

Only cells from outside are in quotes for sure, none is the first of its row, and a quote inside a cell is doubled.
"""


def csv_rows(statement: Compiled | None, heads: Mapping[str, str], outside: Sequence[str]) -> Iterator[bytes]:
    """RFC 4180 but for lines that end in LF. `heads` by key of a column; `outside`: keys whose words aren't ours."""
    yield _line(list(heads.values()))
    if statement is None:
        return
    if connection.vendor == "postgresql":
        yield from _copied(statement, list(heads), outside)
        return
    for rows in _fetched(statement):
        yield b"".join(map(_line, rows))


def json_rows(statement: Compiled | None, keys: Sequence[str]) -> Iterator[bytes]:
    """One object a line, in ASCII; what isn't known is null."""
    for rows in _fetched(statement) if statement else ():
        yield b"".join(_json_line(keys, row) for row in rows)


def _json_line(keys: Sequence[str], row: Sequence[Any]) -> bytes:
    values = {key: None if value == "" else value for key, value in zip(keys, row, strict=True)}
    return f"{json.dumps(values, default=str)}\n".encode()


def _line(cells: Sequence[Any]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow([neutral(cell) for cell in cells])
    return out.getvalue().encode()


def _fetched(statement: Compiled) -> Iterator[Sequence[Sequence[Any]]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(*ready(statement))
        while rows := cursor.fetchmany(AT_ONCE):
            yield rows


def _copied(statement: Compiled, keys: Sequence[str], outside: Sequence[str]) -> Iterator[bytes]:
    sql, params = ready(statement)
    named = connection.ops.quote_name
    columns, quoted = ", ".join(map(named, keys)), ", ".join(map(named, outside))
    # Nothing of it comes from outside: compiled by Django, keys of our own.
    copy = f"COPY (SELECT * FROM ({sql}) AS t ({columns})) TO STDOUT (FORMAT csv, FORCE_QUOTE ({quoted}))"  # noqa: S608
    with connection.cursor() as cursor, cursor.copy(copy, params) as rows:
        for batch in batched(rows, AT_ONCE):
            yield _harmless(batch)


def _harmless(rows: Sequence[Buffer]) -> bytes:
    """The rows as one piece, read again only where a cell is doubtful."""
    text = b"".join(rows)
    if not DOUBTFUL.search(text):
        return text
    return b"".join(_line(_cells(row)) if DOUBTFUL.search(row) else bytes(row) for row in rows)


def _cells(row: Buffer) -> list[str]:
    [cells] = csv.reader(io.StringIO(bytes(row).decode(), newline=""))
    return cells


def batched(rows: Iterable[Buffer], size: int) -> Iterator[Sequence[Buffer]]:
    several = iter(rows)
    while batch := list(islice(several, size)):
        yield batch
