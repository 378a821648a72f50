"""Servers of a benchmark that needs brokers too, or cuts them off. Read before Django is set up."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from actioncenter.bench.databases import both_roles
from actioncenter.estate.services import Postgres, Redis

OWN_SERVERS: Final = frozenset({"chaos", "dispatch"})
"""Benchmarks that need servers of their own."""


@dataclass(frozen=True, slots=True)
class Servers:
    database: Postgres
    broker: Redis


@contextmanager
def servers() -> Iterator[Servers]:
    """Start them and point the environment at them. Raises ServiceMissing and ServiceFailed."""
    with ExitStack() as ends:
        database = Postgres.start()
        ends.callback(database.stop)
        broker = Redis.start()
        ends.callback(broker.stop)
        runtime, owner = both_roles(database, "-c jit=off")
        os.environ["ACTIONCENTER_DATABASE_URL"] = runtime
        os.environ["ACTIONCENTER_DATABASE_OWNER_URL"] = owner
        os.environ["ACTIONCENTER_BROKER_URL"] = broker.url
        yield Servers(database, broker)
