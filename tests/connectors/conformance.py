"""What every connector has to keep. A connector plugs in by a fixture `harness`.

    class TestMine(Conformance):
        @pytest.fixture
        def harness(self, tmp_path): return MyHarness(tmp_path)

A type that the connector doesn't support passes by saying so (`Unsupported`, with a reason).
"""

import json
from collections.abc import Collection
from dataclasses import replace

import pytest

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import TARGET_SUCCESS, ActionType, TargetKind
from actioncenter.connectors.base import (
    Continue,
    Delivery,
    Done,
    Json,
    Outcome,
    Request,
    Result,
    Support,
    Unknown,
    Unsupported,
)
from tests.connectors.harness import Cut, CutAt, Finished, Harness, Notes, again, finish, prepared, undo_of

SUCCESS = {Outcome[state.name] for state in TARGET_SUCCESS}
UNDOABLE = [kind for kind in ActionType if CATALOGUE[kind].inverse is not None]
REPEATABLE = {ActionType.ANTIVIRUS_SCAN, ActionType.COLLECT_PACKAGE, ActionType.REQUEST_SAMPLE}
"""Never "already so": each run is worth something."""
BOOLEAN = {
    ActionType.RESTRICT_EXECUTION,
    ActionType.CONTAIN_DEVICE,
    ActionType.QUARANTINE_ATTACHMENT,
    ActionType.REMOVE_DELEGATION,
}
"""On or off: there is no third state that an undo could overwrite."""
CONFLICTING = [kind for kind in UNDOABLE if kind not in BOOLEAN]
RESULT_BYTES = 64 * 1024

every_type = pytest.mark.parametrize("kind", ActionType, ids=lambda kind: kind.name.lower())
every_undoable = pytest.mark.parametrize("kind", UNDOABLE, ids=lambda kind: kind.name.lower())


def delivery(harness: Harness, request: Request) -> Delivery:
    target = request.targets[0]
    return harness.connector.capabilities(target.kind, target.remote)[request.type].delivery


def unsupported(harness: Harness, request: Request) -> bool:
    """True for a type that the connector honestly declines."""
    if harness.supports(request):
        return False
    before = harness.digest()
    with pytest.raises(Unsupported):
        harness.connector.step(request, None, Notes())
    assert harness.digest() == before
    return True


def acted_once(harness: Harness, request: Request) -> bool:
    return dict(harness.effects(request)) == {target.key: 1 for target in request.targets}


def in_force(harness: Harness, request: Request) -> bool:
    return all(harness.connector.verify(request).in_force[target.key] for target in request.targets)


def without(request: Request, taken: Collection[str]) -> Request:
    return replace(request, targets=[target for target in request.targets if target.key not in taken])


def exact(request: Request, run: Finished) -> bool:
    """One for each target, in whatever order they came: what is refused is told before what takes its time."""
    return sorted(run.results) == sorted(target.key for target in request.targets)


class Conformance:
    """Effects, undo and what goes wrong in between."""

    def test_capabilities_name_every_type_and_say_why_not(self, harness: Harness) -> None:
        for place in TargetKind:
            found = harness.connector.capabilities(place, "anything")
            assert set(found) == set(ActionType)
            for kind, capability in found.items():
                assert (capability.support is Support.SUPPORTED) == (capability.reason == "")
                assert not capability.undoable or CATALOGUE[kind].inverse is not None

    @every_type
    def test_the_effect_is_there_and_read_back(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 3)
        if unsupported(harness, request):
            return
        assert not in_force(harness, request)
        notes = Notes()
        run = finish(harness, request, notes=notes)
        assert exact(request, run)
        assert {result.outcome for result in run.results.values()} == {Outcome.SUCCEEDED}
        assert set(notes.intents) == set(run.results)
        assert notes.results == run.results
        assert all(len(json.dumps(result.before)) < RESULT_BYTES for result in run.results.values())
        assert acted_once(harness, request)
        assert in_force(harness, request)

    @every_type
    def test_preview_changes_nothing(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind)
        if unsupported(harness, request):
            return
        before = harness.digest()
        first, second = harness.connector.preview(request), harness.connector.preview(request)
        assert harness.digest() == before
        assert first == second
        assert first.digest
        assert first.changes
        assert json.loads(json.dumps(first.observed)) == first.observed

    @every_type
    def test_the_same_id_twice_is_one_effect(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 3)
        if unsupported(harness, request) or delivery(harness, request) is not Delivery.KEYED:
            return
        first, second = finish(harness, request), finish(harness, request)
        assert second.results == first.results
        # Which of several comes first is up to the hosts.
        assert sorted((one.name, one.media_type) for one in second.artefacts) == sorted(
            (one.name, one.media_type) for one in first.artefacts
        )
        assert acted_once(harness, request)

    @every_type
    def test_doing_it_again_finds_it_done(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 2)
        if unsupported(harness, request) or kind in REPEATABLE:
            return
        finish(harness, request)
        before = harness.digest()
        run = finish(harness, again(request))
        assert {result.outcome for result in run.results.values()} <= {Outcome.ALREADY, Outcome.GONE}
        assert harness.digest() == before

    @every_undoable
    def test_undo_restores_what_was_observed(self, harness: Harness, kind: ActionType) -> None:
        request = harness.request(kind, 3)
        if unsupported(harness, request):
            return
        before = harness.connector.verify(request).detail
        undo = undo_of(request, finish(harness, request))
        assert harness.connector.verify(request).detail != before
        assert {result.outcome for result in finish(harness, undo).results.values()} == {Outcome.SUCCEEDED}
        assert harness.connector.verify(request).detail == before
        assert in_force(harness, undo)
        assert not in_force(harness, request)

    @every_undoable
    def test_undo_twice_undoes_once(self, harness: Harness, kind: ActionType) -> None:
        request = harness.request(kind)
        if unsupported(harness, request):
            return
        undo = undo_of(request, finish(harness, request))
        finish(harness, undo)
        before = harness.digest()
        run = finish(harness, again(undo))
        assert {result.outcome for result in run.results.values()} == {Outcome.ALREADY}
        assert harness.digest() == before

    @pytest.mark.parametrize("kind", CONFLICTING, ids=lambda kind: kind.name.lower())
    def test_undo_never_overwrites_what_somebody_else_did(self, harness: Harness, kind: ActionType) -> None:
        request = harness.request(kind)
        if unsupported(harness, request):
            return
        undo = undo_of(request, finish(harness, request))
        harness.occupy(request)
        before = harness.digest()
        for result in finish(harness, undo).results.values():
            assert result.outcome is Outcome.FAILED
            assert result.error
        assert harness.digest() == before

    @every_type
    def test_read_back_sees_an_outside_change(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind)
        if unsupported(harness, request):
            return
        remembered = harness.remember(request)
        finish(harness, request)
        assert in_force(harness, request)
        harness.put_back(request, remembered)
        assert not in_force(harness, request)

    @every_type
    def test_killed_at_each_entry_and_resumed(self, harness: Harness, kind: ActionType) -> None:
        """The journal is where a runner can die around an effect: before it and after it."""
        if unsupported(harness, prepared(harness, kind, 3)):
            return
        for at in range(STOPS):
            request = prepared(harness, kind, 3)
            cursor, died = run_until_cut(harness, request, at)
            if not died:
                break
            assert in_force(harness, resume(harness, request, cursor))
            if delivery(harness, request) is Delivery.KEYED:
                assert acted_once(harness, request)
        assert at > 1, "it never told the journal"

    @every_type
    def test_resumes_from_any_cursor(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 5)
        if unsupported(harness, request) or delivery(harness, request) is not Delivery.KEYED:
            return
        first = finish(harness, request)
        for cursor in json.loads(json.dumps(first.cursors)):
            rest = finish(harness, request, cursor).results
            assert rest == {key: first.results[key] for key in rest}
        assert acted_once(harness, request)

    @every_type
    def test_targets_with_results_may_be_left_out(self, harness: Harness, kind: ActionType) -> None:
        """A caller that died after taking results in comes with an old cursor and a shorter list."""
        request = prepared(harness, kind, 5)
        if unsupported(harness, request):
            return
        taken: dict[str, Result] = {}
        cursor: Json | None = None
        for turn in range(STOPS):
            answer = harness.connector.step(without(request, taken), cursor, Notes())
            taken |= {result.key: result for result in answer.results}
            if isinstance(answer, Done):
                break
            harness.advance(answer.wait)
            blind = delivery(harness, request) is Delivery.BLIND
            cursor = answer.cursor if blind or turn % 3 != 1 else cursor
        assert set(taken) == {target.key for target in request.targets}
        assert acted_once(harness, request)
        assert in_force(harness, request)

    def test_progress_never_goes_back(self, harness: Harness) -> None:
        for kind in (ActionType.ANTIVIRUS_SCAN, ActionType.SOFT_DELETE_EMAIL):
            request = harness.request(kind, 5)
            if unsupported(harness, request):
                continue
            harness.slow_down(request)
            seen = [(answer.done, answer.total) for answer in finish(harness, request).answers]
            assert len({*seen}) > 1
            assert seen == sorted(seen)
            assert all(done < total for done, total in seen)

    @every_type
    def test_lost_answer_then_lookup(self, harness: Harness, kind: ActionType) -> None:
        if unsupported(harness, prepared(harness, kind)):
            return
        for after_effect in (True, False):
            request = prepared(harness, kind)
            if delivery(harness, request) is Delivery.BLIND:
                with pytest.raises(Unsupported):
                    harness.connector.lookup(request)
                continue
            harness.lose_answer(after_effect=after_effect)
            with pytest.raises(Unknown):
                finish(harness, request)
            found = harness.connector.lookup(request)
            assert isinstance(found, Done) == after_effect or (after_effect and kind in REPEATABLE)
            cursor = found.cursor if isinstance(found, Continue) else None
            if not isinstance(found, Done):
                finish(harness, request, cursor)
            assert in_force(harness, request)
            assert acted_once(harness, request)


STOPS = 60


def run_until_cut(harness: Harness, request: Request, at: int) -> tuple[Json | None, bool]:
    """The last cursor that a runner would have kept, and whether it died."""
    journal = CutAt(at=at)
    cursor: Json | None = None
    for _ in range(STOPS):
        try:
            answer = harness.connector.step(request, cursor, journal)
        except Cut:
            return cursor, True
        if isinstance(answer, Done):
            return cursor, False
        cursor = answer.cursor
        harness.advance(answer.wait)
    raise AssertionError("it never ends")


def resume(harness: Harness, request: Request, cursor: Json | None) -> Request:
    """Go on as the delivery class allows: resend, ask first, or have a person look and order it again.

    Returns the request that stands in the end.
    """
    kind_of = delivery(harness, request)
    if kind_of is Delivery.KEYED:
        finish(harness, request, cursor)
    elif kind_of is Delivery.QUERYABLE:
        found = harness.connector.lookup(request)
        if not isinstance(found, Done):
            finish(harness, request, found.cursor if found else None)
    elif not in_force(harness, request):
        request = again(request)
        finish(harness, request)
    return request
