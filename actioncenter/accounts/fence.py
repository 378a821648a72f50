"""The fence between those who decide and those who change what decisions rest on (design §4).

A lowered level, a revoked right or a pulled switch holds from the moment its author reads
"saved": every decider is inside `decider`, every change of policy, role or switch inside
`exclusive`. Read what you rest on only after entering. Never enter `exclusive` from within
`decider`: two that do wait for each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection, transaction

from actioncenter import turns

KEY: Final = 0x0AC7_10CE_47E2_FE4C


IDLE: Final = "10s"
"""How long PostgreSQL lets a frozen process hold up everybody else."""


@contextmanager
def decider() -> Iterator[None]:
    """A transaction that may run beside other deciders, but beside no change. At most 500 rows."""
    turns.give_way()
    with transaction.atomic():
        _lock("pg_advisory_xact_lock_shared")
        yield


@contextmanager
def exclusive() -> Iterator[None]:
    """A transaction that begins when the running deciders are through and holds up later ones."""
    with turns.ahead(), transaction.atomic():
        _lock("pg_advisory_xact_lock")
        yield


def _lock(function: str) -> None:
    # SQLite has one writer at a time: a transaction begins (IMMEDIATE) only when it alone may write, and
    # `turns` sees to it that whoever changes policy is next.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {function}(%s), set_config('idle_in_transaction_session_timeout', %s, true)",
                [KEY, IDLE],
            )
