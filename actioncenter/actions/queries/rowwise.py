"""Conditions that PostgreSQL asks row by row, by index.

It turns EXISTS into a join, and where it believes a table to be empty (analysed before the first burst came)
it compares every row with every other: minutes instead of milliseconds. A scalar subquery stays what it is.
"""

from typing import Any

from django.db.models import QuerySet, Subquery
from django.db.models.lookups import IsNull


def some(rows: "QuerySet[Any]") -> IsNull:
    """As `Exists(rows)`."""
    return IsNull(Subquery(rows.order_by().values("pk")[:1]), False)


def none(rows: "QuerySet[Any]") -> IsNull:
    """As `~Exists(rows)`."""
    return IsNull(Subquery(rows.order_by().values("pk")[:1]), True)
