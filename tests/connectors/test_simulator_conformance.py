"""The simulator keeps what every connector has to keep, and the suite notices when one doesn't."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import (
    Continue,
    Delivery,
    Done,
    Journal,
    Json,
    Observed,
    Outcome,
    Plan,
    Request,
    Result,
    Transient,
)
from actioncenter.connectors.simulator.connector import Simulator
from actioncenter.connectors.simulator.ledger import Ledger
from actioncenter.connectors.simulator.scene import DEVICE
from tests.connectors.conformance import Conformance
from tests.connectors.conformance_endurance import ConformanceOfEndurance
from tests.connectors.conformance_limits import ConformanceOfLimits
from tests.connectors.harness import Harness
from tests.connectors.simulator_harness import SimulatorHarness


class TestSimulator(Conformance):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        with closing(SimulatorHarness(tmp_path)) as harness:
            yield harness


class TestSimulatorLimits(ConformanceOfLimits):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        with closing(SimulatorHarness(tmp_path)) as harness:
            yield harness


class TestSimulatorEndurance(ConformanceOfEndurance):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        with closing(SimulatorHarness(tmp_path)) as harness:
            yield harness


class TestUnheardOf(Conformance):
    """Whatever ingest finds is bound to the simulator, so it hears of most things from requests."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        with closing(SimulatorHarness(tmp_path, seeded=False)) as harness:
            yield harness


@pytest.mark.parametrize("delivery", [Delivery.QUERYABLE, Delivery.BLIND])
@pytest.mark.parametrize("kind", ActionType, ids=lambda kind: kind.name.lower())
class TestOtherDeliveries:
    @pytest.fixture
    def harness(self, tmp_path: Path, delivery: Delivery) -> Iterator[Harness]:
        with closing(SimulatorHarness(tmp_path, delivery=delivery)) as harness:
            yield harness

    def test_lost_answer_then_lookup(self, harness: Harness, kind: ActionType) -> None:
        Conformance().test_lost_answer_then_lookup(harness, kind)

    def test_killed_at_each_entry_and_resumed(self, harness: Harness, kind: ActionType) -> None:
        Conformance().test_killed_at_each_entry_and_resumed(harness, kind)

    def test_targets_with_results_may_be_left_out(self, harness: Harness, kind: ActionType) -> None:
        Conformance().test_targets_with_results_may_be_left_out(harness, kind)


# Connectors with a bug planted on purpose


class Repeats(Simulator):
    """Forgets that it has seen the id before."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        answer = super().step(request, cursor, journal)
        with self.estate.writing() as scene:
            scene.sql.execute("DELETE FROM answers")
        return answer


class BelievesItself(Simulator):
    """Says "in force" without reading."""

    def verify(self, request: Request) -> Observed:
        return Observed({target.key: True for target in request.targets})


class PreviewTouches(Simulator):
    def preview(self, request: Request) -> Plan:
        self.estate.change(DEVICE, request.targets[0].remote, last_seen=self.clock())
        return super().preview(request)


class ForgetsBefore(Simulator):
    """Undoes without what the original recorded."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        blank = [replace(target, before={}) for target in request.targets]
        return super().step(replace(request, targets=blank), cursor, journal)


class SkipsTheJournal(Simulator):
    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        class Deaf:
            def intent(self, keys: object) -> None: ...

            def touching(self) -> None: ...

            def result(self, results: object) -> None: ...

        return super().step(request, cursor, Deaf())


class LooksOnlyOnce(Simulator):
    """Doesn't ask again whether it may, however long it was kept waiting."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        class Hasty:
            intent, result = journal.intent, journal.result

            def touching(self) -> None: ...

        return super().step(request, cursor, Hasty())


class DropsTheLast(Simulator):
    """Reports one result too few."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        answer = super().step(request, cursor, journal)
        return replace(answer, results=answer.results[:-1]) if isinstance(answer, Done) else answer


class Tells(Simulator):
    """Shows its secret in an error."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        raise Transient(f"refused with token {SimulatorHarness.secret}")


class IgnoresThePlan(Simulator):
    """Does it to whatever is there now."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        return super().step(replace(request, plan_digest=""), cursor, journal)


class Impatient(Simulator):
    """Takes "too many requests" for any other trouble."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        try:
            return super().step(request, cursor, journal)
        except Transient as error:
            raise Transient(str(error), error.retry_after, offline=error.offline) from None


class Trusting(Simulator):
    """Signs in wherever it gets to, and complains afterwards."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        self.signings += 1
        return super().step(request, cursor, journal)


class Overtime(Simulator):
    """Looks at the deadline only when it begins."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        return super().step(replace(request, deadline=0.0) if cursor else request, cursor, journal)


class CancelsTheDone(Simulator):
    """Calls everything cancelled once somebody asked, also what had been done."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        answer = super().step(request, cursor, journal)
        with self.estate.reading() as scene:
            cancelled = Ledger(scene.sql, request).cancelled()
        if not cancelled or not isinstance(answer, Done):
            return answer
        ended = [Result(target.key, Outcome.CANCELLED) for target in request.targets[1:]]
        return replace(answer, results=ended)


class AlwaysCancels(Simulator):
    """Says that it cancelled what had long ended."""

    def cancel(self, request: Request, cursor: Json | None) -> bool:
        return super().cancel(request, cursor) or True


class Restarts(Simulator):
    """Doesn't know an older cursor: it begins anew, under an id of its own."""

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        newest = getattr(self, "newest", None)
        known = request if cursor in (None, newest) else replace(request, id=str(uuid.uuid4()))
        answer = super().step(known, cursor, journal)
        self.newest = json.loads(json.dumps(answer.cursor)) if isinstance(answer, Continue) else None
        return answer


Check = Callable[[Harness, ActionType], None]
SUITE, LIMITS, ENDURANCE = Conformance(), ConformanceOfLimits(), ConformanceOfEndurance()

PLANTED: Mapping[type[Simulator], tuple[Check, ActionType]] = {
    Repeats: (SUITE.test_the_same_id_twice_is_one_effect, ActionType.ANTIVIRUS_SCAN),
    BelievesItself: (SUITE.test_read_back_sees_an_outside_change, ActionType.ISOLATE_DEVICE),
    PreviewTouches: (SUITE.test_preview_changes_nothing, ActionType.ISOLATE_DEVICE),
    ForgetsBefore: (SUITE.test_undo_never_overwrites_what_somebody_else_did, ActionType.SOFT_DELETE_EMAIL),
    SkipsTheJournal: (LIMITS.test_a_lost_lease_stops_it, ActionType.ISOLATE_DEVICE),
    LooksOnlyOnce: (
        LIMITS.test_what_comes_too_late_after_its_intent_is_not_touched,
        ActionType.ISOLATE_DEVICE,
    ),
    DropsTheLast: (LIMITS.test_partial_results_are_exact, ActionType.SOFT_DELETE_EMAIL),
    IgnoresThePlan: (LIMITS.test_what_differs_from_the_plan_is_not_touched, ActionType.HARD_DELETE_EMAIL),
    Impatient: (
        ENDURANCE.test_patience_is_passed_on_and_nothing_is_touched,
        ActionType.ISOLATE_DEVICE,
    ),
    Trusting: (ENDURANCE.test_nothing_is_told_to_another_far_side, ActionType.ISOLATE_DEVICE),
    Overtime: (ENDURANCE.test_a_deadline_in_the_middle_keeps_what_is_done, ActionType.SOFT_DELETE_EMAIL),
    CancelsTheDone: (
        ENDURANCE.test_cancelled_at_any_place_the_results_are_exact,
        ActionType.SOFT_DELETE_EMAIL,
    ),
    AlwaysCancels: (
        ENDURANCE.test_what_ended_before_it_was_cancelled_succeeded,
        ActionType.ANTIVIRUS_SCAN,
    ),
    Restarts: (ENDURANCE.test_half_way_it_goes_on_from_any_cursor_it_gave, ActionType.SOFT_DELETE_EMAIL),
    Tells: (LIMITS.test_errors_keep_the_secret, ActionType.ISOLATE_DEVICE),
}


@pytest.mark.parametrize("broken", PLANTED, ids=lambda broken: broken.__name__)
def test_the_suite_catches_a_planted_bug(tmp_path: Path, broken: type[Simulator]) -> None:
    check, kind = PLANTED[broken]
    sound, bad = tmp_path / "sound", tmp_path / "bad"
    sound.mkdir()
    bad.mkdir()
    with closing(SimulatorHarness(sound)) as harness:
        check(harness, kind)
    with (
        closing(SimulatorHarness(bad, make=broken)) as harness,
        pytest.raises((AssertionError, pytest.fail.Exception)),
    ):
        check(harness, kind)
