"""Pages that begin after a row instead of at an offset, so that page 1000 costs what page 1 costs.

Moments are read and compared as the database's own text: SQLite keeps text of varying length, and a
moment that went through Python no longer equals the one in the row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

from django.core import signing
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import BooleanField, Expression, F, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler

SALT: Final = "actioncenter.page"
LONGEST: Final = 2000


class BadToken(ValueError):
    """A page token that this installation didn't make, or that was changed."""


def seal(position: Mapping[str, Any]) -> str:
    """A position as text for an address. Signed, so that what comes back has the types it had."""
    return signing.Signer(salt=SALT).sign_object(dict(position), compress=False)


def unseal(token: str) -> dict[str, Any]:
    """Raises BadToken."""
    if len(token) > LONGEST:
        raise BadToken
    try:
        position = signing.Signer(salt=SALT).unsign_object(token)
    except (signing.BadSignature, ValueError) as error:
        raise BadToken from error
    if not isinstance(position, dict):
        raise BadToken
    return position


class Beyond(Expression):
    """`(a, b) > (x, y)` in one comparison, which both databases answer from an index."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, columns: Sequence[str], values: Sequence[Any], *, down: bool = False) -> None:
        super().__init__(output_field=BooleanField())
        self.operator = "<" if down else ">"
        self.sides: list[Any] = [*map(F, columns), *(Value(value) for value in values)]

    def get_source_expressions(self) -> list[Any]:
        return self.sides

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        self.sides = list(exprs)

    def copy(self) -> Self:
        twin = super().copy()
        twin.sides = list(self.sides)
        return twin

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        parts, params = [], []
        for side in self.sides:
            sql, more = compiler.compile(side)
            parts.append(sql)
            params.extend(more)
        half = len(parts) // 2
        left, right = ", ".join(parts[:half]), ", ".join(parts[half:])
        return f"({left}) {self.operator} ({right})", tuple(params)


def as_text(column: str) -> Cast:
    """A moment as the database writes it, for reading and for `Beyond`."""
    return Cast(column, TextField())


def fetch(branches: Iterable[QuerySet[Any, Any]]) -> list[tuple[Any, ...]]:
    """The rows of several `values_list` querysets, one after the other, in one statement.

    Values come as the driver gives them. A branch may be ordered and sliced, which Django's own
    `union` refuses on SQLite.
    """
    compiled = []
    alias = "default"
    for branch in branches:
        alias = branch.db
        try:
            compiled.append(branch.query.get_compiler(alias).as_sql())
        except EmptyResultSet:
            continue
    if not compiled:
        return []
    if len(compiled) == 1:
        sql, params = compiled[0]
    else:
        parts = [f"SELECT * FROM ({part}) AS branch_{at}" for at, (part, _) in enumerate(compiled)]
        sql, params = " UNION ALL ".join(parts), tuple(param for _, more in compiled for param in more)
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def scalars(querysets: Sequence[QuerySet[Any, Any]]) -> tuple[Any, ...]:
    """One value of each queryset (of one row and one column), in one statement; None where it is empty."""
    parts, params = [], []
    for rows in querysets:
        try:
            sql, more = rows.query.get_compiler(rows.db).as_sql()
        except EmptyResultSet:
            sql, more = "NULL", ()
        parts.append(f"({sql})" if sql != "NULL" else sql)
        params.extend(more)
    with connections[querysets[0].db].cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", params)  # noqa: S608 - compiled by Django
        row: tuple[Any, ...] = cursor.fetchone()
        return row
