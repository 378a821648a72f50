"""Loading one row by the number in an address."""

from typing import Final, TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404

M = TypeVar("M", bound=Model)
LARGEST: Final = 2**63 - 1
"""What a primary key can hold."""


def load(rows: QuerySet[M], number: int) -> M:
    """The row if it lies among `rows`, which the caller limited to what the person may see; else 404."""
    if not 0 < number <= LARGEST:
        raise Http404
    row = rows.filter(pk=number).first()
    if row is None:
        raise Http404
    return row
