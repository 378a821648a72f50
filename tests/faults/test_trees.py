"""kill -9 on the product as it is started: the whole of it, its parent, or one child."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from actioncenter.estate.services import Service
from tests.faults.harness import Delivery, Verdict, decided, effects, estate_of, judged, until
from tests.faults.harness_trees import KINDS, Toll, embedded, killed_over_and_over, workers

POSTGRES, SERVED = pytest.mark.postgres, {"redis": pytest.mark.redis, "rabbitmq": pytest.mark.rabbitmq}
SETUPS = {
    name: pytest.param(
        database, f"{name}_service" if mark else "", id=name, marks=[POSTGRES, mark] if mark else []
    )
    for name, database, mark in [
        ("embedded", "sqlite", None),
        *((name, "postgres", mark) for name, mark in SERVED.items()),
    ]
}


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    """Its address; empty where the product runs without."""
    if not request.param:
        return ""
    service: Service = request.getfixturevalue(request.param)
    return service.url


def set_up(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("shared_database", "broker"), [SETUPS[name] for name in names], indirect=True
    )


def killed(
    url: str,
    broker: str,
    folder: Path,
    delivery: Delivery,
    *,
    kinds: Sequence[str],
    batch: int,
    slow: float = 0.2,
    plant: str = "",
) -> tuple[Verdict, Toll]:
    estate = estate_of(folder, delivery, slow=slow)
    rng = random.Random()
    with workers(url, broker, plant=plant) if broker else embedded(url, folder) as tree:
        toll = killed_over_and_over(tree, rng.sample(kinds, len(kinds)), batch=batch, rng=rng)
    return judged(estate, delivery=delivery), toll


@set_up("embedded", "redis")
def test_killed_once_each_way(shared_database: str, broker: str, tmp_path: Path) -> None:
    verdict, toll = killed(shared_database, broker, tmp_path, Delivery.QUERYABLE, kinds=KINDS, batch=20)

    assert verdict.wrong == []
    assert toll.held > 0


@pytest.mark.long
@set_up(*SETUPS)
@pytest.mark.parametrize("delivery", [Delivery.QUERYABLE, Delivery.BLIND])
def test_twenty_one_kills_in_a_thousand(
    shared_database: str, broker: str, tmp_path: Path, delivery: Delivery
) -> None:
    verdict, toll = killed(shared_database, broker, tmp_path, delivery, kinds=KINDS * 7, batch=48, slow=0.5)

    assert verdict.wrong == []
    assert (len(toll.kills), toll.held > 0, toll.overdue) == (21, True, [])


@set_up("rabbitmq")
def test_a_broker_taken_for_the_truth_is_seen(shared_database: str, broker: str, tmp_path: Path) -> None:
    estate = estate_of(tmp_path)
    with workers(shared_database, broker, plant="broker is truth", ACTIONCENTER_FAILPOINT="kill:answered"):
        decided(1)
        until(lambda: max(effects(estate).values(), default=0) > 1, "nobody saw it")

    assert judged(estate, delivery=Delivery.KEYED).doubled


@pytest.mark.long
@set_up("redis")
def test_a_takeover_that_is_late_is_seen(shared_database: str, broker: str, tmp_path: Path) -> None:
    _verdict, toll = killed(
        shared_database, broker, tmp_path, Delivery.KEYED,
        kinds=["child", "tree"], batch=20, slow=1.5, plant="takes its time",
    )  # fmt: skip

    assert toll.overdue
