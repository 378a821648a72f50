"""A phishing campaign on a real mail server, from the alert to the last mailbox and back, in a browser."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from playwright.sync_api import Page, expect

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import ActionType, Execution
from actioncenter.actions.execution import loop
from actioncenter.actions.execution.loop import Runner
from actioncenter.actions.models import Action
from actioncenter.audit.verify import first_bad_row
from actioncenter.estate.mail import campaign, registering
from actioncenter.estate.mail.dovecot import Dovecot
from actioncenter.estate.mail.owner import seen_by_owners
from actioncenter.feeds.enums import FeedFormat
from actioncenter.feeds.models import Consumer
from investigations.models import Binding
from tests import factories
from tests.actions.conftest import RUNNER
from tests.e2e.conftest import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.dovecot, pytest.mark.django_db(transaction=True)]
BOXES, COPIES = 50, 10
ALL = BOXES * COPIES
PATIENCE = 120_000
"""Milliseconds for what a runner does to all mailboxes on a busy machine."""


class Mail:
    def __init__(self, server: Dovecot) -> None:
        self.server = server
        self.boxes = campaign.addresses(BOXES, f"{uuid.uuid4().hex[:8]}.example")
        campaign.load(server, self.boxes, ordinary=2, campaign=COPIES)

    def seen(self) -> "Counter[Any]":
        return seen_by_owners(self.server, self.boxes)


@pytest.fixture
def mail(runner: Runner, dovecot_service: Dovecot) -> Iterator[Mail]:
    """After the runner, whose fixture writes every instance's settings."""
    made = Mail(dovecot_service)
    registering.register(dovecot_service, made.boxes)
    call_command("feeds", "enable", verbosity=0)
    # Until a connector has said what it can do, it is taken to do anything, and the first one would be sent URLs.
    housekeeping.read_capabilities(RUNNER)
    while Binding.objects.filter(tenant=True, read_at=None, instance__enabled=True).exists():
        loop.drain(by=RUNNER)
    yield made
    (Path(settings.DATA_DIR) / "directories" / registering.ADDRESSES).unlink(missing_ok=True)


def told(tmp_path: Path) -> Path:
    """What the mail filter says of it."""
    cluster = {
        "cluster_id": "C-1", "name": campaign.SUBJECT, "cluster_by": "Subject", "cluster_value": campaign.SUBJECT,
        "email_count": ALL, "message_ids": [campaign.nth_id(number) for number in range(COPIES)],
    }  # fmt: skip
    alert = {
        "id": "A-1", "title": "Phishing campaign", "created": "2026-11-23T08:00:00Z", "severity": "high",
        "evidence": [
            {"type": "mail_cluster", "verdict": "malicious", "facts": cluster},
            {"type": "url", "verdict": "malicious", "facts": {"url": campaign.URL}},
        ],
    }  # fmt: skip
    path = tmp_path / "alert.json"
    path.write_text(
        json.dumps({"format": "actioncenter/1", "source": {"name": "mail-filter"}, "alerts": [alert]})
    )
    return path


def pulled(token: str) -> str:
    """The list, as the consumer gets it."""
    return b"".join(Client().get("/feeds/urls.txt", headers={"Authorization": f"Bearer {token}"})).decode()


def opened(page: Page, action: Action) -> None:
    page.goto(f"/action-center/actions/{action.pk}")


def decide(page: Page, action: Action, button: str, comment: str) -> None:
    """Press it, and see the page again once the answer is there."""
    opened(page, action)
    page.get_by_label("Comment", exact=True).fill(comment)
    with page.expect_response(lambda answer: answer.request.method == "POST" and answer.ok):
        page.get_by_role("button", name=re.compile(f"^{button}")).click()
    opened(page, action)


def test_a_campaign_is_pulled_out_of_every_mailbox_and_put_back(
    sign_in: SignIn, mail: Mail, tmp_path: Path
) -> None:
    before = mail.seen()
    _, token = Consumer.add("proxy", FeedFormat.URLS, by=factories.actor(factories.person("noa")))
    call_command("ingest", str(told(tmp_path)), verbosity=0)
    pull, block = (
        Action.objects.get(type=kind) for kind in (ActionType.SOFT_DELETE_EMAIL, ActionType.BLOCK_URL)
    )

    page = sign_in("aiko")
    page.goto("/action-center/pending")
    waiting = page.locator(f"#row-{pull.pk}")
    expect(waiting).to_contain_text(campaign.SUBJECT)
    expect(waiting).to_contain_text(f"{BOXES} mailboxes", timeout=PATIENCE)
    opened(page, pull)
    expect(page.locator(".blast")).to_contain_text(str(ALL))
    assert mail.seen() == before, "nobody has agreed yet"

    decide(page, pull, "Approve", "It phishes")
    expect(page.locator("#action")).to_contain_text("Succeeded", timeout=PATIENCE)
    expect(page.get_by_role("link", name=f"All {ALL} targets")).to_be_visible()
    assert (before - mail.seen()).total() == ALL
    pull.refresh_from_db()
    assert (pull.succeeded_count, pull.on_name) == (ALL, f"{BOXES} mailboxes")

    decide(page, block, "Approve", "It phishes")
    expect(page.locator("#action")).to_contain_text("Not yet pulled by any of 1 consumer", timeout=PATIENCE)
    assert "pay-halden.example/invoice/confirm" in pulled(token)
    expect(page.locator("#action")).to_contain_text("Pulled by 1 of 1 consumer", timeout=PATIENCE)

    for action in (block, pull):
        decide(page, action, "Undo", "It was our own invoice")
        expect(page.locator("#action")).to_contain_text(re.compile("Undone"), timeout=PATIENCE)
    assert all(undo.execution == Execution.SUCCEEDED for undo in Action.objects.exclude(undo_of=None))
    assert mail.seen() == before
    assert "pay-halden" not in pulled(token)
    assert first_bad_row() is None
