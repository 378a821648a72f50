"""The block list as its connector wants it: our rows behind a port, our errors in its words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.conf import settings
from django.db import DatabaseError

from actioncenter.audit.actor import Actor
from actioncenter.connectors.base import Permanent, Transient, Unknown
from actioncenter.connectors.feeds.book import Held, Reading
from actioncenter.feeds import canonical
from actioncenter.feeds.enums import EntryKind
from actioncenter.feeds.models import Block, BlockList

BY: Final = Actor.system("runner")


class Book:
    """Implements connectors.feeds.book.Book over the database."""

    def read(self, url: str) -> Reading:
        address = _address(url)
        ours = (
            settings.PUBLIC_URL
            and address.expression in _address(f"{settings.PUBLIC_URL}/click/x").expressions()
        )
        refusal = "It would block this Action center and every link that leads through it." if ours else ""
        return Reading(address.expression, address.kind.name.lower(), refusal)

    def find(self, keys: Sequence[str]) -> dict[str, Held]:
        with _reading():
            rows = Block.objects.filter(key__in=[key for key in keys if key])
            listed = set(rows.published().values_list("pk", flat=True))
            return {row.key: _held(row, listed=row.pk in listed) for row in rows}

    def others(self, expression: str, key: str) -> int:
        with _reading():
            same = Block.objects.published().filter(digest=canonical.digest(expression))
            return same.exclude(key=key).count()

    def place(self, key: str, url: str, days: int, ref: str) -> Held:
        address = _address(url)
        with _writing():
            Block.place(key, address, days=days, ref=ref, by=BY)
        return self.find([key])[key]

    def release(self, key: str, ref: str) -> Held:
        with _writing():
            Block.objects.get(key=key).release(ref=ref, by=BY)
        return self.find([key])[key]

    def version(self) -> int:
        with _reading():
            return BlockList.current()


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except DatabaseError:
        raise Transient("The block list can't be read.") from None


@contextmanager
def _writing() -> Iterator[None]:
    """A transaction whose end nobody heard of may have been committed."""
    try:
        yield
    except DatabaseError:
        raise Unknown("The block list was written to, and no answer came.") from None


def _address(url: str) -> canonical.Address:
    try:
        return canonical.read(url)
    except canonical.NotAnAddress as error:
        raise Permanent("no_address", str(error)) from None


def _held(row: Block, *, listed: bool) -> Held:
    return Held(
        key=row.key,
        expression=row.expression,
        kind=EntryKind(row.kind).name.lower(),
        until=row.expires_at.isoformat() if row.expires_at else "",
        placed_by=row.placed_by,
        released_by=row.released_by,
        released=not listed,
        listed=listed,
    )
