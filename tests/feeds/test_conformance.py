"""The block list keeps what every connector has to keep, and the suite notices when it doesn't."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Done, Journal, Json, Observed, Request
from actioncenter.connectors.feeds.connector import BlockList
from actioncenter.feeds.models import Block
from tests.connectors.conformance import Conformance
from tests.connectors.conformance_endurance import ConformanceOfEndurance
from tests.connectors.conformance_limits import ConformanceOfLimits
from tests.connectors.harness import Harness
from tests.feeds.harness import FeedsHarness

pytestmark = pytest.mark.django_db


@pytest.fixture
def harness() -> Harness:
    return FeedsHarness()


class TestFeeds(Conformance):
    """Effects, undo and what goes wrong in between."""


class TestFeedsLimits(ConformanceOfLimits):
    """Refusals and ends from outside."""


class TestFeedsEndurance(ConformanceOfEndurance):
    """Long work."""


# Connectors with a bug planted on purpose


class BelievesItself(BlockList):
    """Says "in force" without reading."""

    def verify(self, request: Request) -> Observed:
        return Observed({target.key: True for target in request.targets})


class ForgetsWhose(BlockList):
    """Takes back whatever stands there now."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done:
        if request.type is ActionType.UNBLOCK_URL:
            now = {row.key: row for row in Block.objects.all()}
            stale = [
                replace(
                    target,
                    before={**target.before, "until": now[target.before["block"]].expires_at.isoformat()},
                )
                for target in request.targets
                if now[target.before["block"]].expires_at
            ]
            request = replace(request, targets=stale or request.targets)
        return super().step(request, cursor, journal)


class SkipsTheJournal(BlockList):
    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done:
        class Deaf:
            def intent(self, keys: object) -> None: ...

            def touching(self) -> None: ...

            def result(self, results: object) -> None: ...

        return super().step(request, cursor, Deaf())


class Anew(BlockList):
    """Takes each call for another request."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done:
        calls = self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
        return super().step(replace(request, id=f"{request.id}-{calls}"), cursor, journal)


Check = Callable[[Harness, ActionType], None]
PLANTED: Mapping[type[BlockList], Check] = {
    BelievesItself: Conformance().test_read_back_sees_an_outside_change,
    ForgetsWhose: Conformance().test_undo_never_overwrites_what_somebody_else_did,
    SkipsTheJournal: ConformanceOfLimits().test_a_lost_lease_stops_it,
    Anew: Conformance().test_the_same_id_twice_is_one_effect,
}


@pytest.mark.parametrize("broken", PLANTED, ids=lambda broken: broken.__name__)
def test_the_suite_catches_a_planted_bug(broken: type[BlockList]) -> None:
    check = PLANTED[broken]
    check(FeedsHarness(), ActionType.BLOCK_URL)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(FeedsHarness(make=broken), ActionType.BLOCK_URL)
