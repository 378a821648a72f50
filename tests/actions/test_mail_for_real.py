"""From evidence through a person's approval and the runner to a real mail server, and back."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db.models.functions import Now

from actioncenter.actions.enums import Area, AttemptState, Execution, TargetState
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, ActionTarget, Attempt, ConnectorState
from actioncenter.audit.verify import first_bad_row
from actioncenter.estate.mail import campaign, registering
from actioncenter.estate.mail.dovecot import Dovecot
from actioncenter.estate.mail.owner import seen_by_owners
from actioncenter.settings.models import ConnectorInstance
from investigations.enums import EvidenceType, Verdict
from investigations.models import Evidence, Mailbox
from tests import factories
from tests.actions.conftest import RUNNER

pytestmark = [pytest.mark.django_db, pytest.mark.dovecot]
BOXES, CAMPAIGN = 5, 8


class Campaign:
    """On a server of which the product knows."""

    def __init__(self, server: Dovecot, boxes: list[str]) -> None:
        self.server = server
        self.boxes = boxes
        self.instance: ConnectorInstance = registering.register(server, boxes)

    def seen(self) -> "Counter[Any]":
        return seen_by_owners(self.server, self.boxes)


@pytest.fixture
def phish(dovecot_service: Dovecot) -> Iterator[Campaign]:
    boxes = campaign.addresses(BOXES, f"{uuid.uuid4().hex[:8]}.example")
    campaign.load(dovecot_service, boxes, ordinary=6, campaign=CAMPAIGN)
    yield Campaign(dovecot_service, boxes)
    (Path(settings.DATA_DIR) / "directories" / registering.ADDRESSES).unlink()


def run(*actions: Action) -> None:
    for _ in range(20):
        loop.drain(by=RUNNER)
        if not Attempt.objects.filter(ended_at=None, state=AttemptState.POLLING).update(next_poll_at=Now()):
            break
    for action in actions:
        action.refresh_from_db()


def proposed() -> Action:
    """A cluster of that subject, with its plan."""
    action = factories.waiting_mail_action(subject=campaign.SUBJECT)
    run(action)
    return action


def test_a_campaign_is_approved_pulled_out_of_every_mailbox_and_put_back(phish: Campaign) -> None:
    before = phish.seen()
    action = proposed()
    plan = action.plans.latest("pk")
    assert plan.body["observed"]["messages"] == BOXES * CAMPAIGN
    assert plan.body["observed"]["mailboxes"] == BOXES
    assert phish.seen() == before, "a plan changes nothing"
    by = factories.person("aiko").actor()
    action.approve(by=by)
    run(action)
    assert (action.execution, action.succeeded_count) == (Execution.SUCCEEDED, BOXES * CAMPAIGN)
    assert phish.seen().total() == before.total() - BOXES * CAMPAIGN
    undo = action.undo(by=by, comment="It was our own invoice")
    run(undo)
    assert (undo.execution, undo.succeeded_count) == (Execution.SUCCEEDED, BOXES * CAMPAIGN)
    assert phish.seen() == before
    assert first_bad_row() is None


def test_what_its_reader_deleted_meanwhile_is_gone_and_the_rest_is_done(phish: Campaign) -> None:
    action = proposed()
    action.approve(by=factories.person("aiko").actor())
    home = phish.server.home(phish.boxes[0])
    held = [path for path in home.glob("Maildir/**/cur/*") if campaign.SUBJECT.encode() in path.read_bytes()]
    held[0].unlink()
    run(action)
    assert action.execution == Execution.SUCCEEDED
    states = Counter(action.targets.values_list("state", flat=True))
    assert states == {TargetState.SUCCEEDED: BOXES * CAMPAIGN - 1, TargetState.GONE: 1}


def test_forwarding_to_the_outside_is_turned_off_and_on_again(phish: Campaign) -> None:
    mailbox = Mailbox.objects.get(address=phish.boxes[0])
    evidence = Evidence.objects.create(
        investigation=factories.investigation(), type=EvidenceType.FORWARDING, area=Area.EMAIL, mailbox=mailbox,
        key=f"forwarding-{mailbox.pk}", verdict=Verdict.MALICIOUS, name="rules",
    )  # fmt: skip
    (action,) = factories.planned(evidence)
    run(action)
    plan = action.plans.latest("pk")
    assert plan.body["changes"] == [f"Mail from {mailbox.address} to ledger@pay-halden.example stops."]
    link = phish.server.home(mailbox.address) / ".dovecot.sieve"
    assert link.readlink().name == "rules.sieve"
    by = factories.person("aiko").actor()
    action.approve(by=by)
    run(action)
    assert action.execution == Execution.SUCCEEDED
    assert link.readlink().name.startswith("actioncenter-")
    undo = action.undo(by=by, comment="A rule of her own")
    run(undo)
    assert undo.execution == Execution.SUCCEEDED
    assert link.readlink().name == "rules.sieve"


def test_an_attachment_is_taken_out_and_put_back(phish: Campaign) -> None:
    mailbox = Mailbox.objects.get(address=phish.boxes[1])
    facts = {
        "message_id": campaign.nth_id(0),
        "recipient": mailbox.address,
        "file_name": "invoice.exe",
        "sha256": hashlib.sha256(campaign.TOOL).hexdigest(),
    }
    evidence = Evidence.objects.create(
        investigation=factories.investigation(), type=EvidenceType.ATTACHMENT, area=Area.EMAIL, mailbox=mailbox,
        key=f"attachment-{mailbox.pk}", verdict=Verdict.MALICIOUS, name="invoice.exe", facts=facts,
    )  # fmt: skip
    before = phish.seen()
    (action,) = factories.planned(evidence)
    run(action)
    assert action.plans.latest("pk").body["observed"]["messages"] == 1
    by = factories.person("aiko").actor()
    action.approve(by=by)
    run(action)
    assert action.execution == Execution.SUCCEEDED
    (stub,) = (phish.seen() - before).elements()
    (original,) = (before - phish.seen()).elements()
    assert stub != original
    undo = action.undo(by=by, comment="It was our own invoice")
    run(undo)
    assert undo.execution == Execution.SUCCEEDED
    assert phish.seen() == before


def test_a_wrong_password_fails_no_action_and_opens_the_circuit(phish: Campaign) -> None:
    action = proposed()
    before = phish.seen()
    action.approve(by=factories.person("aiko").actor())
    right = phish.instance.secret
    ConnectorInstance.objects.filter(pk=phish.instance.pk).update(secret=b"")
    for _ in range(6):
        ActionTarget.objects.update(not_before=None)
        run(action)
    assert action.execution == Execution.QUEUED
    assert ConnectorState.objects.get(pk=phish.instance.pk).opened_at is not None
    assert phish.seen() == before
    ConnectorInstance.objects.filter(pk=phish.instance.pk).update(secret=right)
    ConnectorState.objects.filter(pk=phish.instance.pk).delete()
    ActionTarget.objects.update(not_before=None)
    run(action)
    assert action.execution == Execution.SUCCEEDED
