"""A retry rests on the decision that was made: it asks for the same proof, and not for ever."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client

from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action, Conflict
from actioncenter.actions.permissions import Refused
from actioncenter.audit.enums import Via
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ApprovalRule
from tests import factories

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


@pytest.fixture
def failed(run: Run, estate: Estate) -> Action:
    """A dangerous one that the far side has refused."""
    device = factories.device(in_group=factories.group(recipe_isolates=True))
    made = factories.planned(factories.file_evidence(device))
    action = next(row for row in made if row.type == ActionType.ISOLATE_DEVICE)
    estate.behave("refuse", "locked")
    run(action.approve(by=factories.actor(factories.person("mira"))))
    estate.behave_normally()
    assert (action.execution, action.approval_rule["reauthenticate"]) == (Execution.FAILED, True)
    return action


def decided(days: float, action: Action) -> None:
    """That long ago."""
    Action.objects.filter(pk=action.pk).update(decided_at=F("decided_at") - timedelta(days=days))


def test_a_dangerous_one_is_retried_by_somebody_who_has_proved_it_is_them(failed: Action, run: Run) -> None:
    sam = factories.person("sam")
    stale = factories.actor(sam).proved_at or 0
    for by in (sam.actor(), sam.actor(proved_at=stale - 601), sam.actor(Via.TOKEN)):
        with pytest.raises(Refused) as refused:
            failed.retry(by=by)
        assert refused.value.code in {"reauthenticate", "token"}
    failed.refresh_from_db()
    assert failed.execution == Execution.FAILED
    failed.retry(by=factories.actor(sam))
    run(failed)
    assert failed.execution == Execution.SUCCEEDED


def test_the_page_asks_for_the_password(failed: Action, client: Client) -> None:
    client.force_login(factories.person("sam"))
    page = f"/action-center/actions/{failed.pk}"
    sent = {"next": page, "idempotency_key": "k" * 32}
    asked = client.post(f"{page}/retry", sent)
    assert asked["Location"].startswith("/confirm-identity?next=")
    failed.refresh_from_db()
    assert failed.execution == Execution.FAILED
    factories.prove(client)
    client.post(f"{page}/retry", sent)
    failed.refresh_from_db()
    assert failed.execution == Execution.QUEUED


def test_an_old_decision_is_made_anew(failed: Action) -> None:
    sam = factories.actor(factories.person("sam"))
    decided(failed.approval_rule["expiry_days"] + 0.01, failed)
    with pytest.raises(Conflict, match=r"more than 7 days ago\. Propose it anew instead") as caught:
        failed.retry(by=sam)
    assert caught.value.code == "decided_too_long_ago"
    decided(-0.02, failed)
    assert failed.retry(by=sam).execution == Execution.QUEUED


@pytest.mark.parametrize("strict", [True, False])
def test_an_undo_asks_for_proof_where_a_rule_says_so(strict: bool, run: Run, estate: Estate) -> None:
    noa, mira = factories.actor(factories.person("noa")), factories.person("mira")
    ApprovalRule.add(by=noa, action_type=ActionType.RELEASE_FILE, reauthenticate=strict)
    action = factories.waiting_action().approve(by=mira.actor())
    run(action)
    if strict:
        with pytest.raises(Refused) as refused:
            action.undo(by=mira.actor(), comment="Ours")
        assert refused.value.code == "reauthenticate"
        assert not Action.objects.filter(undo_of=action).exists()
    by = factories.actor(mira) if strict else mira.actor()
    inverse = action.undo(by=by, comment="Ours")
    assert (inverse.decision, inverse.approval_rule["reauthenticate"]) == (Decision.NOT_REQUIRED, strict)
