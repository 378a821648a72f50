"""What an admin changes holds for every decider from the moment the admin reads "saved"."""

from itertools import chain
from statistics import quantiles
from typing import Any

import pytest

from tests import factories
from tests.actions.real_processes import in_processes
from tests.settings.stopping import stop_file

__all__ = ["stop_file"]
pytestmark = pytest.mark.usefixtures("stop_file", "people")
CHANGES = ["switch", "level", "right", "role"]
SELDOM = {"right": pytest.mark.long, "role": pytest.mark.long}
MANY = 100
PROMISED_MS = 200
"""How long an admin waits for "saved" at most, of a hundred times 99."""


@pytest.fixture
def people(shared_database: str) -> None:
    for name in ("noa", "mira"):
        factories.person(name)
    factories.group()


def contest(url: str, rounds: int, changes: list[str], *, plant: bool = False) -> dict[str, Any]:
    spec = {"rounds": rounds, "changes": changes, "plant": plant}
    told: dict[str, Any] = in_processes("tests.contests.fencing", url, spec, seconds=240 + 30 * rounds)
    return told


@pytest.mark.parametrize(
    "rounds", [5, pytest.param(MANY, marks=[pytest.mark.long])], ids=["few rounds", "100 rounds"]
)
def test_nothing_is_decided_on_what_no_longer_holds(shared_database: str, rounds: int) -> None:
    told = contest(shared_database, rounds, CHANGES)

    assert told["late"] == dict.fromkeys(CHANGES, 0)
    assert told["done"] == dict.fromkeys(CHANGES, rounds), "somebody was deciding in every round"
    assert told["codes"] == [0] * len(told["codes"])
    if rounds == MANY:
        waited = quantiles(chain.from_iterable(told["waits_ms"].values()), n=100)[98]
        longest = {change: max(waits) for change, waits in told["waits_ms"].items()}
        assert waited <= PROMISED_MS, f"an admin waited {waited:.0f} ms (p99), at most {longest}"


@pytest.mark.parametrize("change", [pytest.param(each, marks=SELDOM.get(each, ())) for each in CHANGES])
@pytest.mark.sampled(2)
def test_a_plain_read_before_the_fence_is_seen(shared_database: str, change: str) -> None:
    told = contest(shared_database, 40, [change], plant=True)

    assert told["codes"] == [0] * len(told["codes"])
    assert told["late"][change] > 0
