"""Statements compiled once and run often.

Django takes ten times as long to write the SQL of a list as the database to answer it, and writes the
same text each time. So it is kept, per kind of database and arguments; what changes from run to run
stays out of it as a late value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.utils import timezone

if TYPE_CHECKING:
    from django.db.models import Field, QuerySet

KEPT: Final = 500
"""Per maker; some kilobytes each. Texts that people search for are among the arguments."""

Compiled = tuple[str, tuple[Any, ...]]
P = ParamSpec("P")
R = TypeVar("R")


class Late:
    """Stands among a statement's values until it runs."""

    def value(self, given: Sequence[Any]) -> Any:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Given(Late):
    """The value at this place of what `rows_of` is given."""

    at: int

    def value(self, given: Sequence[Any]) -> Any:
        return given[self.at]


@dataclass(frozen=True, slots=True)
class Ago(Late):
    """The moment that long before the statement runs."""

    period: timedelta

    def value(self, given: Sequence[Any]) -> Any:
        return connection.ops.adapt_datetimefield_value(timezone.now() - self.period)


_caches: list[Callable[[], None]] = []


def forget() -> None:
    """Let every statement be compiled anew: for measuring what a first time costs."""
    for clear in _caches:
        clear()


def kept(make: Callable[P, R]) -> Callable[P, R]:
    """Call `make` once per arguments (hashable, by position) and kind of database."""

    @lru_cache(maxsize=KEPT)
    def made(vendor: str, *arguments: Any) -> Any:
        return make(*arguments)  # type: ignore[call-arg]  # P hides that they are by position

    _caches.append(made.cache_clear)

    @wraps(make)
    def find(*arguments: P.args, **_: P.kwargs) -> R:
        found: R = made(connection.vendor, *arguments)
        return found

    return find


def compiled(rows: "QuerySet[Any, Any]") -> Compiled | None:
    """The text of a query set, for a maker to give back; None where its set is known to be empty."""
    try:
        sql, params = rows.query.sql_with_params()
    except EmptyResultSet:
        return None
    return sql, params


def given(at: int, output_field: "Field[Any, Any] | None" = None) -> RawSQL:
    """What `rows_of` is given at this place, to stand in a query set."""
    return RawSQL("%s", [Given(at)], output_field=output_field)


_IN: Final = {
    "postgresql": "SELECT value::bigint FROM json_array_elements_text(%s::json) AS value",
    "sqlite": "SELECT value FROM json_each(%s)",
}


def given_numbers(at: int) -> RawSQL:
    """What `rows_of` is given at this place, a list of numbers as JSON, for `in`."""
    return RawSQL(_IN[connection.vendor], [Given(at)])  # noqa: S611 - a constant


def among_given(column: str, at: int) -> RawSQL:
    """Whether the column is one of those numbers, as a condition. PostgreSQL would join them with `in`, and
    read whatever else fits; as an array it looks each up."""
    numbers = _IN[connection.vendor]
    if connection.vendor == "postgresql":
        condition = f"{column} = ANY (ARRAY({numbers}))"
    else:
        condition = f"{column} IN ({numbers})"
    return RawSQL(condition, [Given(at)], output_field=BooleanField())  # noqa: S611 - constants


def rows_of(statement: Compiled | None, given: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Values come as the driver gives them; nothing where the set is known to be empty."""
    if statement is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(*ready(statement, given))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def ready(statement: Compiled, given: Sequence[Any] = ()) -> tuple[str, list[Any]]:
    """A statement with the values that it has at this moment."""
    sql, params = statement
    return sql, [param.value(given) if isinstance(param, Late) else param for param in params]
