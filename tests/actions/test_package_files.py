"""Unchanged files of installed packages are left alone unless an admin has them taken."""

import time
from dataclasses import replace

import pytest
from django.test import Client

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind
from actioncenter.actions.models import Action, Proposal, TargetDraft
from actioncenter.actions.permissions import Refused
from tests import factories
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
FILE = ActionType.QUARANTINE_FILE
TAKE = {"package_files": "take"}


def by_hand(who: str, **parameters: str) -> Action:
    device = factories.device()
    draft = TargetDraft(
        kind=TargetKind.FILE, name="tool", entity="tool", on_name=device.name, device_id=device.pk,
        facts={"path": "/usr/bin/tool"},
    )  # fmt: skip
    wish = Proposal(
        type=FILE, area=Area.DEVICE, source=Source.MANUAL_DEVICE, targets=[draft], decision=Decision.PENDING,
        parameters=parameters, comment="By hand",
    )  # fmt: skip
    action, _ = Action.objects.propose(wish, by=replace(factories.person(who).actor(), proved_at=time.time()))
    return action


def test_what_was_asked_for_before_is_still_the_same() -> None:
    """Its key is made of its parameters, so leaving a file alone isn't said."""
    assert CATALOGUE[FILE].parameters
    assert clean_parameters(FILE, {}) == clean_parameters(FILE, {"package_files": "leave"}) == {}
    assert clean_parameters(FILE, TAKE) == TAKE


def test_an_admin_proposes_it_and_nobody_else() -> None:
    with pytest.raises(Refused, match="Only an admin"):
        by_hand("mira", **TAKE)
    assert by_hand("mira", package_files="leave").parameters == {}
    assert by_hand("noa", **TAKE).parameters == TAKE


def test_an_admin_changes_what_waits_and_nobody_else(client: Client) -> None:
    action = proposed(FILE)
    client.force_login(factories.person("mira"))
    page = f"/action-center/actions/{action.pk}/edit"
    assert client.post(page, {**TAKE, "revision": "1"}).status_code == 403
    client.force_login(factories.person("noa"))

    assert client.post(page, {**TAKE, "revision": "1"}).status_code == 302

    action.refresh_from_db()
    assert (action.parameters, action.revision) == (TAKE, 2)
    shown = client.get(f"/action-center/actions/{action.pk}").content.decode()
    assert "Package files" in shown


def test_on_the_page_of_a_file_only_an_admin_is_asked(client: Client) -> None:
    found = factories.file_evidence(factories.device())
    page = f"/files/{found.sha256}/quarantine_file"
    sent = {"device": found.device_id, "comment": "Known bad.", **TAKE}
    for who, offered, kept in (("mira", False, {}), ("noa", True, TAKE)):
        client.force_login(factories.person(who))
        factories.prove(client)
        assert ("package_files" in client.get(f"{page}?device={found.device_id}").content.decode()) is offered
        if who == "mira":
            continue
        assert client.post(page, sent).status_code == 200
        assert Action.objects.get().parameters == kept


def test_a_form_of_somebody_else_takes_nothing(client: Client) -> None:
    found = factories.file_evidence(factories.device())
    client.force_login(factories.person("mira"))
    factories.prove(client)
    sent = {"device": found.device_id, "comment": "Known bad.", **TAKE}
    assert client.post(f"/files/{found.sha256}/quarantine_file", sent).status_code == 200
    assert Action.objects.get().parameters == {}
