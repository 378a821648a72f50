"""Two actions, two people, two runners: whatever happens in whatever order, it is what design §3 says."""

from collections.abc import Iterator

import pytest
from django.db import IntegrityError
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from actioncenter.actions.models.conflicts import IllegalMove
from actioncenter.connectors import registry
from tests.actions.model_based import far_side, stage
from tests.actions.model_based.machine import Machine
from tests.actions.model_based.plants import PLANTS, Plant, end_without_an_event

pytestmark = pytest.mark.django_db
FEW = settings(
    max_examples=10,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=300, stateful_step_count=40, derandomize=False)
HUNT = settings(MANY, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
"""Ends with the first fault; nothing is made shorter for a reader."""


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[stage.Stage]:
    monkeypatch.setitem(registry.KINDS, far_side.KIND, far_side.__name__)
    yield stage.build()
    registry.kind.cache_clear()


def play(scene: stage.Stage, how: settings) -> None:
    run_state_machine_as_test(lambda: Machine(scene), settings=how)


def test_every_order_of_events_is_what_the_design_says(scene: stage.Stage) -> None:
    play(scene, FEW)


@pytest.mark.long
def test_every_order_of_events_is_what_the_design_says_in_many_runs(scene: stage.Stage) -> None:
    play(scene, MANY)


@pytest.mark.parametrize(
    "plant",
    [end_without_an_event, *(pytest.param(plant, marks=pytest.mark.long) for plant in PLANTS)],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_mistake_is_found(
    plant: Plant, scene: stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, IntegrityError, IllegalMove)):
        play(scene, HUNT)
