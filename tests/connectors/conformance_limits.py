"""The second half of the conformance suite: refusals, ends from outside, and what must never leak."""

from dataclasses import replace

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import (
    ConnectorError,
    Continue,
    Delivery,
    LeaseLost,
    Outcome,
    Permanent,
    Transient,
)
from tests.connectors.conformance import delivery, every_type, exact, unsupported
from tests.connectors.harness import Harness, Notes, again, finish, prepared

BROUGHT_BACK = [ActionType.COLLECT_PACKAGE, ActionType.REQUEST_SAMPLE]
PLANNED = [
    ActionType.OFFBOARD_DEVICE,
    ActionType.HARD_DELETE_EMAIL,
    ActionType.SOFT_DELETE_EMAIL,
    ActionType.QUARANTINE_EMAIL,
    ActionType.QUARANTINE_FILE,
]
"""What is approved on sight of a plan, and a file, whose content is what was judged."""
WITHOUT_THE_TARGET = {ActionType.CONTAIN_DEVICE, ActionType.RELEASE_CONTAINMENT}
"""Carried out by the peers."""


class Fenced(Notes):
    """The journal of a runner whose lease another one took."""

    def intent(self, keys: object) -> None:
        raise LeaseLost


class Late(Notes):
    """The journal of a runner that was kept waiting between its intent and the touch."""

    def touching(self) -> None:
        raise Transient("A switch was pulled.")


class ConformanceOfLimits:
    @every_type
    def test_a_lost_lease_stops_it(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind)
        if unsupported(harness, request):
            return
        before = harness.digest()
        with pytest.raises(LeaseLost):
            finish(harness, request, notes=Fenced())
        assert harness.digest() == before
        assert not harness.effects(request)

    @every_type
    def test_what_comes_too_late_after_its_intent_is_not_touched(
        self, harness: Harness, kind: ActionType
    ) -> None:
        request = prepared(harness, kind)
        if unsupported(harness, request):
            return
        before, notes = harness.digest(), Late()
        with pytest.raises(Transient):
            finish(harness, request, notes=notes)
        assert notes.intents
        assert harness.digest() == before
        assert not harness.effects(request)
        assert set(finish(harness, request).results) == {target.key for target in request.targets}

    @every_type
    def test_after_the_deadline_nothing_is_touched(self, harness: Harness, kind: ActionType) -> None:
        request = replace(prepared(harness, kind, 2), deadline=harness.now() - 1)
        if unsupported(harness, request):
            return
        before = harness.digest()
        run = finish(harness, request)
        assert exact(request, run)
        assert {result.outcome for result in run.results.values()} == {Outcome.TIMED_OUT}
        assert harness.digest() == before

    @every_type
    def test_offline_says_so_and_sends_nothing(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind)
        if not harness.goes_offline or unsupported(harness, request) or kind in WITHOUT_THE_TARGET:
            return
        harness.take_offline(request)
        before = harness.digest()
        for call in (lambda: finish(harness, request), lambda: harness.connector.preview(request)):
            with pytest.raises(Transient) as caught:
                call()
            assert caught.value.offline
            assert caught.value.retry_after > 0
        assert harness.digest() == before

    @every_type
    def test_partial_results_are_exact(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 5)
        if unsupported(harness, request):
            return
        failing = harness.fail_part(request)
        assert 0 < len(failing) < 5
        run = finish(harness, request)
        assert exact(request, run)
        assert {key for key, result in run.results.items() if result.outcome is Outcome.FAILED} == failing
        assert all(run.results[key].error for key in failing)
        found = harness.connector.verify(request).in_force
        assert {key for key, value in found.items() if not value} == failing

    @every_type
    def test_cancel_leaves_the_rest_undone(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind, 5)
        if unsupported(harness, request):
            return
        target = request.targets[0]
        if not harness.connector.capabilities(target.kind, target.remote)[kind].cancellable:
            assert not harness.connector.cancel(request, None)
            return
        harness.slow_down(request)
        answer = harness.connector.step(request, None, Notes())
        assert isinstance(answer, Continue)
        assert harness.connector.cancel(request, answer.cursor)
        early = {result.key: result for result in answer.results}
        run = finish(harness, request, answer.cursor)
        rest = {key: result for key, result in run.results.items() if key not in early}
        assert rest
        assert {result.outcome for result in rest.values()} == {Outcome.CANCELLED}
        assert set(harness.effects(request)) == set(early)

    def test_what_has_ended_cannot_be_cancelled(self, harness: Harness) -> None:
        request = harness.request(ActionType.ANTIVIRUS_SCAN)
        if unsupported(harness, request):
            return
        finish(harness, request)
        assert not harness.connector.cancel(request, None)

    @pytest.mark.parametrize("kind", BROUGHT_BACK, ids=lambda kind: kind.name.lower())
    def test_artefacts_come_whole_or_not_at_all(self, harness: Harness, kind: ActionType) -> None:
        request = harness.request(kind)
        if unsupported(harness, request):
            return
        (artefact,) = finish(harness, request).artefacts
        assert harness.opens(artefact)
        run = finish(harness, replace(again(request), max_bytes=16))
        assert not run.artefacts
        assert {result.outcome for result in run.results.values()} == {Outcome.FAILED}

    @pytest.mark.parametrize("kind", [ActionType.QUARANTINE_FILE, ActionType.REQUEST_SAMPLE])
    def test_another_file_at_the_path_is_left_alone(self, harness: Harness, kind: ActionType) -> None:
        request = harness.request(kind)
        if unsupported(harness, request):
            return
        facts = {**request.targets[0].facts, "sha256": "f" * 64, "sha1": ""}
        request = replace(request, targets=[replace(request.targets[0], facts=facts)])
        before = harness.digest()
        (result,) = finish(harness, request).results.values()
        assert result.outcome is Outcome.FAILED
        assert result.error
        assert harness.digest() == before

    def test_a_plan_is_bound_to_what_it_hits(self, harness: Harness) -> None:
        request = harness.request(ActionType.QUARANTINE_FILE)
        if unsupported(harness, request):
            return
        planned = harness.connector.preview(request).digest
        assert harness.connector.preview(again(request)).digest == planned
        harness.occupy(request)
        assert harness.connector.preview(request).digest != planned

    @pytest.mark.parametrize("kind", PLANNED, ids=lambda kind: kind.name.lower())
    def test_what_differs_from_the_plan_is_not_touched(self, harness: Harness, kind: ActionType) -> None:
        request = harness.request(kind)
        if unsupported(harness, request):
            return
        planned = replace(request, plan_digest=harness.connector.preview(request).digest)
        harness.replace_thing(request)
        before = harness.digest()
        notes = Notes()
        with pytest.raises(Permanent) as caught:
            harness.connector.step(planned, None, notes)
        assert caught.value.code == "plan_changed"
        assert (harness.digest(), notes.intents) == (before, [])

    @every_type
    def test_what_is_as_planned_is_done_and_its_own_effect_is_no_deviation(
        self, harness: Harness, kind: ActionType
    ) -> None:
        request = prepared(harness, kind, 3)
        if unsupported(harness, request):
            return
        planned = replace(request, plan_digest=harness.connector.preview(request).digest)
        first = finish(harness, planned).results
        assert {result.outcome for result in first.values()} == {Outcome.SUCCEEDED}
        if delivery(harness, planned) is Delivery.KEYED:
            assert finish(harness, planned).results == first

    def test_wrong_credentials_stop_everything_and_leak_nothing(self, harness: Harness) -> None:
        if not harness.has_credentials:
            return
        connector = harness.locked_out()
        request = harness.request(ActionType.ISOLATE_DEVICE)
        scan = replace(request, type=ActionType.ANTIVIRUS_SCAN)
        before = harness.digest()
        health = connector.check()
        assert not health.ok
        calls = (
            lambda: connector.step(request, None, Notes()),
            lambda: connector.preview(request),
            lambda: connector.verify(request),
            *([lambda: connector.search({"kind": "file"}, None)] if harness.searches else []),
            *([lambda: connector.cancel(scan, None)] if harness.supports(scan) else []),
        )
        shown = [health.detail, repr(connector), repr(vars(connector))]
        for call in calls:
            with pytest.raises(Permanent) as caught:
                call()
            shown += [str(caught.value), repr(caught.value), caught.value.code]
        assert harness.digest() == before
        assert not any(harness.secret in text for text in shown)

    def test_check_is_well_and_keeps_the_secret(self, harness: Harness) -> None:
        health = harness.connector.check()
        assert health.ok
        assert health.detail
        assert harness.secret not in repr((health, harness.connector, vars(harness.connector)))

    @every_type
    def test_errors_keep_the_secret(self, harness: Harness, kind: ActionType) -> None:
        request = prepared(harness, kind)
        if unsupported(harness, request):
            return
        harness.lose_answer(after_effect=True)
        with pytest.raises(ConnectorError) as caught:
            finish(harness, request)
        assert harness.secret not in repr((caught.value, vars(caught.value)))
