"""One action that can't be judged or can't begin doesn't keep the others from running."""

from collections.abc import Callable
from typing import Any

import pytest

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import binding, candidates, claiming, gates
from actioncenter.actions.execution.binding import Refusal
from actioncenter.actions.models import Action, Attempt, attempting
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.test_gates import approved, effects

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
BROKEN = [{"type": 999}, {"risk": 9}, {"proposers": [1, "a"]}, {"policy": []}, {"approval_rule": []}]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_row_that_can_t_be_read_ends_as_tampered_and_the_next_one_runs(
    broken: dict[str, Any], run: Run, estate: Estate
) -> None:
    factories.person("noa")
    bad, good = approved(), approved()
    Action.objects.filter(pk=bad.pk).update(**broken)
    run(bad, good)
    assert (bad.execution, bad.code) == (Execution.CANCELLED, binding.TAMPERED)
    assert Event.objects.filter(kind=Kind.ACTION_REFUSED, subject=f"action:{bad.pk}").exists()
    assert Notice.objects.filter(kind=binding.TAMPERED).exists()
    assert (good.execution, effects(estate)) == (Execution.SUCCEEDED, 1)


def test_a_gate_that_raises_holds_up_nobody_else(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = approved(), approved()

    def breaks(action: Action) -> Refusal | None:
        if action.pk == bad.pk:
            raise ZeroDivisionError
        return None

    monkeypatch.setattr(gates, "CHECKS", (breaks, *gates.CHECKS))
    run(bad, good)
    assert (bad.execution, good.execution) == (Execution.QUEUED, Execution.SUCCEEDED)
    assert f"action {bad.pk} could not be claimed" in caplog.text


def behind_an_unknown(number: int) -> Action:
    """Approved, on a file of which nobody knows what another action did to it."""
    machine = factories.device(in_group=factories.group(f"Group {number}"))
    by = factories.person("mira").actor()

    def again() -> Action:
        evidence = factories.file_evidence(machine, sha256=f"{number:064x}")
        return factories.planned(evidence)[0].approve(by=by)

    attempt = claiming.claim_one(again().pk, "gone", by=RUNNER)
    assert attempt is not None
    attempting.mark_sent(attempt)
    attempting.keep_unknown(attempt, error="no answer", look_again_in=None, by=RUNNER)
    return again()


def test_what_waits_behind_an_unknown_is_not_looked_at(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "LOOKED_AT_ONCE", 1)
    monkeypatch.setattr(candidates, "PAGES", 1)
    held, free = [behind_an_unknown(number) for number in (1, 2)], approved()
    run(free, *held)
    assert free.execution == Execution.SUCCEEDED
    assert {action.execution for action in held} == {Execution.QUEUED}


def test_what_can_t_be_claimed_hides_nothing_behind_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "LOOKED_AT_ONCE", 2)
    *held, last = [approved() for _ in range(5)]
    Action.objects.filter(pk__in=[action.pk for action in held]).update(queued_at=held[0].queued_at)
    claim = claiming.claim_one

    def only_the_last(pk: int, runner: str, **more: Any) -> Attempt | None:
        return claim(pk, runner, **more) if pk == last.pk else None

    monkeypatch.setattr(claiming, "claim_one", only_the_last)
    run(last)
    assert last.execution == Execution.SUCCEEDED
