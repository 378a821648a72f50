"""Each throw-away service answers: what the other tests of this folder rely on."""

import signal

import psycopg
import pytest
from kombu import Connection

from actioncenter.estate.services import Postgres, Service


@pytest.mark.postgres
def test_postgres_answers(postgres_service: Service) -> None:
    with psycopg.connect(postgres_service.url) as connection:
        row = connection.execute("select current_setting('fsync'), 1 + 1").fetchone()

    assert row == ("off", 2)


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("redis_service", marks=pytest.mark.redis),
        pytest.param("rabbitmq_service", marks=pytest.mark.rabbitmq),
    ],
)
def test_broker_carries_a_message(broker: str, request: pytest.FixtureRequest) -> None:
    service: Service = request.getfixturevalue(broker)

    with Connection(service.url) as connection, connection.SimpleQueue("round-trip") as queue:
        queue.put({"ids": [1, 2]})
        message = queue.get(timeout=10)
        message.ack()

    assert message.payload == {"ids": [1, 2]}


@pytest.mark.postgres
def test_a_database_that_was_cut_off_comes_back_with_what_it_held() -> None:
    server = Postgres.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("create table kept as select 7 as number")
            connection.execute("checkpoint")
        server.halt(signal.SIGQUIT)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url)
        with psycopg.connect(server.resume().url) as connection:
            assert connection.execute("select number from kept").fetchone() == (7,)
    finally:
        server.stop()
    assert not server.folder.exists()
