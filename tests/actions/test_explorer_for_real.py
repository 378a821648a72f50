"""A search by a person, and what is taken of it, on a real mail server."""

import hashlib

import pytest

from actioncenter.actions import exploring
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.exploring import Choice, figures_of
from actioncenter.actions.models import MailSearch
from actioncenter.actions.models.searching import contents
from actioncenter.audit.verify import first_bad_row
from actioncenter.estate.mail import campaign
from tests import factories
from tests.actions.test_mail_for_real import BOXES, CAMPAIGN, Campaign, phish, run

__all__ = ["phish"]
pytestmark = [pytest.mark.django_db, pytest.mark.dovecot]
FIRST = "<0.invoice@pay-halden.example>"


def searched(**criteria: list[str]) -> MailSearch:
    made = MailSearch.ask(criteria, by=factories.person("kim").actor())
    run()
    return made


def test_a_query_but_for_one_message_is_pulled_out_and_put_back(phish: Campaign) -> None:
    before, aiko = phish.seen(), factories.person("aiko").actor()
    search = searched(sender=[campaign.SENDER], subject_part=[campaign.SUBJECT[:12].lower()])
    assert search.hits.count() == BOXES * CAMPAIGN
    assert all(hit.received and hit.size for hit in search.hits.all())
    first = search.hits.filter(message_id=FIRST)[0]
    choice = Choice(search, grouping="message", left_out=(first.pk,))
    assert figures_of(choice).messages == BOXES * (CAMPAIGN - 1)
    (action,) = exploring.take(choice, ActionType.QUARANTINE_EMAIL, by=aiko, comment="It phishes.")
    run(action)
    plan = action.plans.latest("pk")
    assert (plan.body["observed"]["messages"], plan.body["warnings"]) == (BOXES * (CAMPAIGN - 1), [])
    action.approve(by=aiko, plan=plan.digest)
    run(action)
    assert (action.execution, action.succeeded_count) == (Execution.SUCCEEDED, BOXES * (CAMPAIGN - 1))
    assert phish.seen().total() == before.total() - BOXES * (CAMPAIGN - 1)
    undo = action.undo(by=aiko, comment="It was our own invoice")
    run(undo)
    assert phish.seen() == before
    assert first_bad_row() is None


def test_of_one_mailbox_what_was_picked_goes_at_once(phish: Campaign) -> None:
    before, aiko = phish.seen(), factories.person("aiko").actor()
    search = searched(mailbox=[phish.boxes[1]], sender=[campaign.SENDER])
    assert {hit.mailbox for hit in search.hits.all()} == {phish.boxes[1]}
    picked = tuple(search.hits.values_list("pk", flat=True)[:3])
    (action,) = exploring.take(
        Choice(search, picked), ActionType.SOFT_DELETE_EMAIL, by=aiko, comment="It phishes."
    )
    assert action.decision == Decision.NOT_REQUIRED
    run(action)
    assert (action.execution, action.succeeded_count) == (Execution.SUCCEEDED, 3)
    assert phish.seen().total() == before.total() - 3


def test_a_message_is_looked_at_and_stays_unread(phish: Campaign) -> None:
    before, aiko = phish.seen(), factories.person("aiko").actor()
    search = searched(message_id=[FIRST], mailbox=[phish.boxes[0]])
    hit = search.hits.get()
    job = hit.open(by=aiko)
    run()
    job.refresh_from_db()
    found = contents(job)
    assert found is not None
    assert campaign.URL in found["text"]
    assert any(campaign.URL in link for link in found["links"])
    assert ["Subject", campaign.SUBJECT] in found["headers"]
    tool = {"name": "invoice.exe", "size": len(campaign.TOOL), "type": "application/octet-stream"}
    assert found["attachments"] == [{**tool, "sha256": hashlib.sha256(campaign.TOOL).hexdigest()}]
    assert phish.seen() == before
