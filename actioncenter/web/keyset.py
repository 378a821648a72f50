"""Pages that begin after a row instead of at an offset, so that page 1000 costs what page 1 costs.

Moments are read and compared as the database's own text: SQLite keeps text of varying length, and a
moment that went through Python no longer equals the one in the row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

from django.core import signing
from django.core.exceptions import EmptyResultSet
from django.db.models import Aggregate, BooleanField, Expression, F, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler

from actioncenter.web.statements import Compiled, rows_of

SALT: Final = "actioncenter.page"
LONGEST: Final = 2000
"""SQL and its parameters."""


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
    """`(a, b) > (x, y)` in one comparison, which both databases answer from an index.

    `down` turns it round; with `reached` the row at that place fits too.
    """

    output_field = BooleanField()
    conditional = True

    def __init__(
        self, columns: Sequence[str], values: Sequence[Any], *, down: bool = False, reached: bool = False
    ) -> None:
        super().__init__(output_field=BooleanField())
        self.operator = ("<" if down else ">") + ("=" if reached else "")
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
        parts: list[str] = []
        params: list[Any] = []
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


def compiled(rows: QuerySet[Any, Any]) -> Compiled | None:
    """None where the set is known to be empty without asking."""
    try:
        sql, params = rows.query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return None
    return sql, tuple(params)


def fetch(branches: Iterable[QuerySet[Any, Any]]) -> list[tuple[Any, ...]]:
    """The rows of `joined`."""
    return rows_of(joined(branches))


def joined(branches: Iterable[QuerySet[Any, Any]]) -> Compiled | None:
    """Several `values_list` querysets, one after the other, in one statement; None where all are empty.

    A branch may be ordered and sliced, which Django's own `union` refuses on SQLite.
    """
    parts = [part for branch in branches if (part := compiled(branch))]
    if len(parts) < 2:
        return parts[0] if parts else None
    sql = " UNION ALL ".join(
        f"SELECT * FROM ({text}) AS branch_{at}"  # noqa: S608 - compiled by Django
        for at, (text, _) in enumerate(parts)
    )
    return sql, tuple(param for _, more in parts for param in more)


def counted(rows: QuerySet[Any, Any]) -> Compiled | None:
    """The number of rows; of a slice, at most its length."""
    part = compiled(rows)
    return (f"SELECT COUNT(*) FROM ({part[0]}) AS counted", part[1]) if part else None  # noqa: S608 - compiled by Django


def figure(rows: QuerySet[Any, Any], aggregate: Aggregate) -> Compiled | None:
    """One aggregate over the rows, without grouping."""
    everything = rows.order_by().annotate(everything=Value(1)).values("everything")
    return compiled(everything.annotate(figure=aggregate).values("figure"))


def scalars(parts: Sequence[Compiled | None]) -> tuple[Any, ...]:
    """The single row of `beside`."""
    return rows_of(beside(parts))[0]


def beside(parts: Sequence[Compiled | None]) -> Compiled:
    """The single value of each part, in one statement; None where a part finds nothing."""
    sql = ", ".join(f"({part[0]})" if part else "NULL" for part in parts)
    return f"SELECT {sql}", tuple(param for part in parts if part for param in part[1])
