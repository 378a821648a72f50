"""A change holds from the moment its author reads "saved"."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import OperationalError, connection, transaction

from actioncenter.accounts import fence
from tests.services.database import as_default

Fence = Callable[[], AbstractContextManager[None]]
BOTH = pytest.mark.parametrize("enter", [fence.decider, fence.exclusive])


@pytest.mark.django_db(transaction=True)
@BOTH
def test_fence_is_a_transaction(enter: Fence) -> None:
    assert not connection.in_atomic_block

    with enter():
        assert connection.in_atomic_block

    assert not connection.in_atomic_block


@pytest.mark.django_db
@BOTH
def test_failure_inside_leaves_an_outer_transaction_usable(enter: Fence) -> None:
    def fail() -> None:
        with enter():
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert not transaction.get_rollback()


def waits(url: str, first: Fence, second: Fence) -> bool:
    """Whether the second has to wait until the first is through."""
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with as_default(url), first():
            inside.set()
            assert go_on.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert inside.wait(30)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        return not _enters(second)
    finally:
        go_on.set()
        holder.join()


def _enters(enter: Fence) -> bool:
    try:
        with enter():
            return True
    except OperationalError:
        return False


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (fence.decider, fence.decider, False),
        (fence.decider, fence.exclusive, True),
        (fence.exclusive, fence.decider, True),
        (fence.exclusive, fence.exclusive, True),
    ],
)
def test_deciders_run_side_by_side_and_a_change_alone(
    first: Fence, second: Fence, expected: bool, on_postgres: str
) -> None:
    assert waits(on_postgres, first, second) == expected


@pytest.mark.postgres
@BOTH
def test_fence_opens_with_the_end_of_the_transaction(enter: Fence, on_postgres: str) -> None:
    with enter():
        pass

    with as_default(on_postgres), fence.exclusive(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone() == (1,)
