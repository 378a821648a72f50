"""Purging beside others on PostgreSQL: as the tables' owner, and never in the way of who writes."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from actioncenter.audit.roles import as_owner
from actioncenter.auditor import purging
from tests.audit.sealers import ON_POSTGRES, Slow, other

__all__ = ["other"]


@ON_POSTGRES
def test_an_owner_of_its_own_is_asked_where_there_is_one(shared_database: str, settings: Any) -> None:
    def role() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    before = role()
    settings.DATABASE_OWNER = dict(connection.settings_dict)
    with as_owner():
        assert role() != before
    assert role() == before


@ON_POSTGRES
def test_who_writes_meanwhile_makes_it_give_up(
    shared_database: str, other: Callable[[Callable[[], None]], threading.Thread]
) -> None:
    """Before anybody else would have to: the stream could go on behind its end."""
    slow = Slow()
    thread = other(slow)
    assert slow.wrote.wait(60)
    with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
        purging._hold_still([])
    slow.end.set()
    thread.join()
    with transaction.atomic():
        purging._hold_still([])
