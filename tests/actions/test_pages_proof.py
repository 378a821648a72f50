"""A dangerous decision asks for the password first, and is then made by the person, not by the form."""

from typing import Any

import pytest
from django.test import Client

from actioncenter.accounts import proof
from actioncenter.accounts.request import PROVED
from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import LevelRaise
from tests import factories

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true", "HX-Target": "aside#pane"}
PENDING = "/action-center/pending?verdict=malicious"


@pytest.fixture
def action() -> Action:
    made = factories.waiting_action()
    Action.objects.filter(pk=made.pk).update(approval_rule={**made.approval_rule, "reauthenticate": True})
    return made


@pytest.fixture
def mira(client: Client) -> Client:
    """Signed in, but without having given a password."""
    client.force_login(factories.person("mira"))
    return client


def page(action: Action) -> str:
    return f"/action-center/actions/{action.pk}"


def approve(client: Client, action: Action, **headers: str) -> Any:
    seen = Action.objects.get(pk=action.pk)
    sent = {"revision": seen.revision, "comment": "seen", "next": PENDING}
    return client.post(f"{page(action)}/approve", sent, headers=headers)


def decision(action: Action) -> int:
    return Action.objects.get(pk=action.pk).decision


def test_a_page_asks_and_leads_back_to_the_action(mira: Client, action: Action) -> None:
    asked = approve(mira, action)
    assert asked["Location"] == f"/confirm-identity?next=%2Faction-center%2Factions%2F{action.pk}"

    back = mira.post("/confirm-identity", {"password": factories.PASSWORD, "next": page(action)})

    assert back["Location"] == page(action)
    assert decision(action) == Decision.PENDING
    assert "now do it again" in mira.get(page(action)).content.decode()
    approve(mira, action)
    assert decision(action) == Decision.APPROVED


def test_the_pane_asks_in_a_notice_and_leads_back_to_the_list(mira: Client, action: Action) -> None:
    asked = approve(mira, action, **FRAGMENT, **{"HX-Current-URL": f"http://testserver{PENDING}"})

    assert asked.status_code == 403
    assert asked.context["next"] == PENDING
    assert b'type="password"' in asked.content
    assert decision(action) == Decision.PENDING


def test_the_key_of_a_form_that_was_asked_back_stays_free(mira: Client, action: Action) -> None:
    seen = Action.objects.get(pk=action.pk)
    sent = {"revision": seen.revision, "comment": "seen", "next": PENDING, "idempotency_key": "k" * 32}
    mira.post(f"{page(action)}/approve", sent)
    mira.post("/confirm-identity", {"password": factories.PASSWORD})

    mira.post(f"{page(action)}/approve", sent)

    assert decision(action) == Decision.APPROVED


def test_a_proof_wears_off(mira: Client, action: Action) -> None:
    mira.post("/confirm-identity", {"password": factories.PASSWORD})
    session = mira.session
    session[PROVED] -= proof.FRESH + 1
    session.save()

    assert approve(mira, action)["Location"].startswith("/confirm-identity")
    assert decision(action) == Decision.PENDING


def test_a_level_is_raised_by_somebody_who_has_proved_it_is_them(client: Client) -> None:
    group = factories.group()
    client.force_login(factories.person("noa"))
    sent = {"level": AutomationLevel.FULL.value, "comment": "quiet weeks", "revision": group.revision}

    asked = client.post(f"/settings/groups/{group.pk}/level", sent)

    assert asked["Location"] == f"/confirm-identity?next=%2Fsettings%2Fgroups%2F{group.pk}"
    assert not LevelRaise.objects.exists()
    client.post("/confirm-identity", {"password": factories.PASSWORD})
    client.post(f"/settings/groups/{group.pk}/level", sent)
    assert LevelRaise.objects.get().new_level == AutomationLevel.FULL
