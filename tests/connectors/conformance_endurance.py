"""The third part of the conformance suite: a far side that asks for patience or is another one, and long work."""

import json
from dataclasses import replace

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import (
    OWN_FAULTS,
    Delivery,
    Done,
    Json,
    Outcome,
    Permanent,
    Request,
    Result,
    Transient,
)
from tests.connectors.conformance import acted_once, delivery, every_type, in_force, unsupported
from tests.connectors.harness import Finished, Harness, Notes, finish, prepared

PATIENCE = 90.0
LONG = (ActionType.ANTIVIRUS_SCAN, ActionType.SOFT_DELETE_EMAIL)
long_types = pytest.mark.parametrize("kind", LONG, ids=lambda kind: kind.name.lower())


def steps(harness: Harness, request: Request, number: int) -> tuple[list[Json], dict[str, Result]]:
    """The cursors and results of its first steps, or of all if it ends before."""
    cursors: list[Json] = []
    results: dict[str, Result] = {}
    for _ in range(number):
        answer = harness.connector.step(request, cursors[-1] if cursors else None, Notes())
        results |= {result.key: result for result in answer.results}
        if isinstance(answer, Done):
            break
        cursors.append(json.loads(json.dumps(answer.cursor)))
        harness.advance(answer.wait)
    return cursors, results


def length(harness: Harness, kind: ActionType) -> int:
    """How many steps such a request takes."""
    return len(finish(harness, prepared(harness, kind, 5)).cursors)


class ConformanceOfEndurance:
    # The far side asks for patience (429)

    @every_type
    def test_patience_is_passed_on_and_nothing_is_touched(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 2)
        if not harness.has_patience or unsupported(harness, request):
            return
        before, notes = harness.digest(), Notes()
        harness.ask_for_patience(PATIENCE)
        calls = (
            lambda: harness.connector.step(request, None, notes),
            lambda: harness.connector.preview(request),
            lambda: harness.connector.verify(request),
        )
        for call in calls:
            with pytest.raises(Transient) as caught:
                call()
            assert caught.value.throttled
            assert not caught.value.offline
            assert caught.value.retry_after == pytest.approx(PATIENCE, abs=1)
        assert (harness.digest(), notes.intents, harness.effects(request)) == (before, [], {})
        harness.ask_for_patience(0)
        finish(harness, request)
        assert acted_once(harness, request)

    @long_types
    def test_patience_in_the_middle_loses_nothing(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 5)
        if not harness.has_patience or unsupported(harness, request):
            return
        cursors, early = steps(harness, request, 2)
        harness.ask_for_patience(PATIENCE)
        before = harness.digest()
        with pytest.raises(Transient) as caught:
            harness.connector.step(request, cursors[-1], Notes())
        assert caught.value.throttled
        assert harness.digest() == before
        harness.ask_for_patience(0)
        rest = finish(harness, request, cursors[-1]).results
        assert early.keys() | rest.keys() == {target.key for target in request.targets}
        assert acted_once(harness, request)
        assert in_force(harness, request)

    # Another host key or certificate

    @every_type
    def test_nothing_is_told_to_another_far_side(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind)
        if not harness.has_identity or unsupported(harness, request):
            return
        before, notes = harness.digest(), Notes()
        harness.change_identity()
        calls = (
            lambda: harness.connector.step(request, None, notes),
            lambda: harness.connector.preview(request),
            lambda: harness.connector.verify(request),
            *([lambda: harness.connector.search({"kind": "file"}, None)] if harness.searches else []),
        )
        for call in calls:
            with pytest.raises(Permanent) as caught:
                call()
            assert caught.value.code == harness.identity_code
        assert (harness.identity_code in OWN_FAULTS) == (harness.identity_code == "identity")
        assert harness.secret not in str(caught.value)
        assert (harness.digest(), notes.intents, harness.effects(request)) == (before, [], {})
        assert not harness.was_told_the_secret()

    def test_a_check_says_that_it_is_another_far_side(self, harness: Harness) -> None:
        if not harness.has_identity:
            return
        harness.change_identity()
        health = harness.connector.check()
        assert not health.ok
        assert "identity" in health.detail.lower() or "key" in health.detail.lower()
        assert not harness.was_told_the_secret()

    # The deadline

    @long_types
    def test_a_deadline_in_the_middle_keeps_what_is_done(self, harness: Harness, kind: ActionType) -> None:
        for turn in range(1, length(harness, kind)):
            request = replace(prepared(harness, kind, 5), deadline=harness.now() + 1_000_000)
            if unsupported(harness, request):
                return
            cursors, early = steps(harness, request, turn)
            late = replace(request, deadline=harness.now() - 1)
            run = finish(harness, late, cursors[-1])
            _rest_ended_so(harness, request, early, run, Outcome.TIMED_OUT)

    # Cancelling

    @long_types
    def test_cancelled_at_any_place_the_results_are_exact(self, harness: Harness, kind: ActionType) -> None:
        for turn in range(1, length(harness, kind)):
            request = prepared(harness, kind, 5)
            if unsupported(harness, request) or not _cancellable(harness, request):
                return
            cursors, early = steps(harness, request, turn)
            assert harness.connector.cancel(request, cursors[-1])
            run = finish(harness, request, cursors[-1])
            _rest_ended_so(harness, request, early, run, Outcome.CANCELLED)

    @long_types
    def test_asked_twice_it_is_cancelled_once(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 5)
        if unsupported(harness, request) or not _cancellable(harness, request):
            return
        cursors, _ = steps(harness, request, 1)
        assert harness.connector.cancel(request, cursors[-1])
        before = harness.digest()
        harness.connector.cancel(request, cursors[-1])
        first = finish(harness, request, cursors[-1]).results
        assert finish(harness, request, cursors[-1]).results == first
        assert harness.digest() == before

    @long_types
    def test_what_ended_before_it_was_cancelled_succeeded(self, harness: Harness, kind: ActionType) -> None:
        """Its last answer was lost; then somebody cancels."""
        request = prepared(harness, kind, 2)
        if unsupported(harness, request) or delivery(harness, request) is Delivery.BLIND:
            return
        run = finish(harness, request)
        cursor = run.cursors[-1] if run.cursors else None
        assert not harness.connector.cancel(request, cursor)
        if delivery(harness, request) is Delivery.KEYED:
            found = finish(harness, request, cursor).results
            assert {result.outcome for result in found.values()} == {Outcome.SUCCEEDED}
        else:
            told = harness.connector.lookup(request)
            assert told is not None
            assert {result.outcome for result in told.results} == {Outcome.SUCCEEDED}
        assert acted_once(harness, request)

    # Going on

    @long_types
    def test_half_way_it_goes_on_from_any_cursor_it_gave(self, harness: Harness, kind: ActionType) -> None:
        """A runner died after that many steps, and the newest of its cursors may not have been saved."""
        for turn in range(1, length(harness, kind) + 1):
            for back in range(turn):
                request = prepared(harness, kind, 5)
                if unsupported(harness, request) or delivery(harness, request) is not Delivery.KEYED:
                    return
                cursors, early = steps(harness, request, turn)
                rest = finish(harness, request, cursors[back]).results
                assert all(rest[key] == result for key, result in early.items() if key in rest)
                assert early.keys() | rest.keys() == {target.key for target in request.targets}
                assert acted_once(harness, request)
                assert in_force(harness, request)


def _cancellable(harness: Harness, request: Request) -> bool:
    target = request.targets[0]
    return harness.connector.capabilities(target.kind, target.remote)[request.type].cancellable


def _rest_ended_so(
    harness: Harness, request: Request, early: dict[str, Result], run: Finished, outcome: Outcome
) -> None:
    """What was done stays done and says so, and whatever else there was is untouched."""
    rest = {key: result for key, result in run.results.items() if key not in early}
    assert all(run.results[key] == result for key, result in early.items() if key in run.results)
    assert early.keys() | rest.keys() == {target.key for target in request.targets}
    assert rest
    assert {result.outcome for result in rest.values()} == {outcome}
    assert {result.outcome for result in early.values()} <= {Outcome.SUCCEEDED}
    assert dict(harness.effects(request)) == dict.fromkeys(early, 1)
