"""Servers of a benchmark that needs brokers too, or cuts them off. Read before Django is set up."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from actioncenter.bench.databases import with_options
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
        os.environ["ACTIONCENTER_DATABASE_URL"] = with_options(database.url, "-c jit=off")
        os.environ["ACTIONCENTER_BROKER_URL"] = broker.url
        yield Servers(database, broker)
