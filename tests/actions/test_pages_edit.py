"""Changing what a pending action would do, on its page."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import Action
from tests import factories
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
SELECTIVE = {"isolation": "selective", "hours": "4", "revision": "1"}


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def page(action: Action) -> str:
    return f"/action-center/actions/{action.pk}/edit"


def test_a_change_is_saved_and_leads_back(mira: Client) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    assert page(action) in mira.get(f"/action-center/actions/{action.pk}").content.decode()
    assert mira.get(page(action)).context["form"].initial == {"isolation": "full", "hours": 0}

    answer = mira.post(page(action), SELECTIVE)
    assert (answer.status_code, answer["Location"]) == (302, f"/action-center/actions/{action.pk}")
    action.refresh_from_db()
    assert action.parameters == {"isolation": "selective", "hours": 4}
    assert (action.revision, action.proposers) == (2, ["automation", factories.person("mira").ref])


def test_an_old_page_reads_what_changed_and_saves_nothing(mira: Client) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    action.edit({"isolation": "selective"}, by=factories.person("sam").actor(), revision=1)

    stale = mira.post(page(action), {**SELECTIVE, "isolation": "full"})
    assert stale.status_code == 409
    assert "Changed by <bdi>Sam Okoye</bdi> at" in stale.content.decode()
    assert "isolation was full, is now selective" in stale.content.decode()
    assert stale.context["revision"] == 2
    action.refresh_from_db()
    assert action.revision == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"isolation": "none"}, {"isolation": ""}, {"hours": "-1"}, {"hours": "721"}, {"hours": "9" * 40},
        {"hours": "x"}, {"hours": ""}, {"revision": ""}, {"revision": "0"}, {"revision": "9" * 40},
        {"isolation": "\x00"},
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused(mira: Client, wrong: dict[str, Any]) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    assert mira.post(page(action), {**SELECTIVE, **wrong}).status_code == 422
    action.refresh_from_db()
    assert action.revision == 1


def test_saving_nothing_new_is_refused(mira: Client) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    answer = mira.post(page(action), {"isolation": "full", "hours": "0", "revision": "1"})
    assert answer.status_code == 422
    assert "Nothing was changed." in answer.content.decode()


def test_what_no_longer_waits_can_not_be_changed(mira: Client) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    Action.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "It no longer waits" in mira.get(page(action)).content.decode()
    assert mira.post(page(action), SELECTIVE).status_code == 409


@pytest.mark.parametrize("who", ["ivo", "kim", "aiko"])
def test_others_can_not(client: Client, who: str) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    client.force_login(factories.person(who))
    assert page(action) not in client.get(f"/action-center/actions/{action.pk}").content.decode()
    assert "This needs the role" in client.get(page(action)).content.decode()
    assert 'name="isolation"' not in client.get(page(action)).content.decode()
    assert client.post(page(action), SELECTIVE).status_code == 403


def test_what_is_out_of_sight_or_takes_no_parameters_has_no_page(mira: Client) -> None:
    hidden = proposed(ActionType.ISOLATE_DEVICE, group_id=factories.closed_group().pk)
    for action in (hidden, proposed(ActionType.KILL_PROCESS)):
        assert mira.get(page(action)).status_code == 404
        assert mira.post(page(action), SELECTIVE).status_code == 404
