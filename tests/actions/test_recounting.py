"""What a query stands for is counted again: what came since is shown, and taken only by who says so."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.exploring import Choice
from actioncenter.actions.models import Action, Conflict, Plan
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.audit.verify import first_bad_row
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.test_exploring import MALLORY, by, folders, mail, mailbox, searched, take

__all__ = ["mail"]
pytestmark = pytest.mark.django_db
Run = Callable[..., None]
BEFORE, NEW = 8, 3


@pytest.fixture
def grown(mail: Estate, run: Run) -> Action:
    """A query that was proposed by Kim and counted; since then a person more has received the campaign."""
    action = take(Choice(searched(run, "kim")), ActionType.QUARANTINE_EMAIL, "kim")
    run(action)
    assert action.target_count == BEFORE
    more = mailbox(7)
    more["messages"][2] |= {"sender": MALLORY, "subject": "A third one"}
    mail.seed({"mailboxes": [more]})
    action.look_again(by=by("kim"))
    run(action)
    action.refresh_from_db()
    return action


def pane(client: Client, action: Action) -> Any:
    client.force_login(factories.person("aiko"))
    factories.prove(client)
    return client.get(f"/action-center/actions/{action.pk}").context["action"]


def decide(client: Client, action: Action, **more: Any) -> int:
    seen = pane(client, action)
    sent = {"revision": seen["revision"], "plan": seen["plan_seen"], "comment": "It phishes.", **more}
    return client.post(f"/action-center/actions/{action.pk}/approve", sent).status_code


def test_the_difference_is_shown_with_a_tick_for_what_is_new(client: Client, grown: Action) -> None:
    shown = pane(client, grown)

    assert shown["plan"]["since"] == f"+{NEW} new"
    assert grown.target_count == BEFORE + NEW
    text = client.get(f"/action-center/actions/{grown.pk}").content.decode()
    assert "+3 new" in text
    assert 'name="with_new"' in text


def test_without_the_tick_only_what_was_frozen_is_taken(
    client: Client, grown: Action, mail: Estate, run: Run
) -> None:
    assert decide(client, grown) == 302
    run(grown)

    assert (grown.decision, grown.execution) == (Decision.APPROVED, Execution.SUCCEEDED)
    assert (grown.target_count, grown.succeeded_count) == (BEFORE, BEFORE)
    moved = [name for name, folder in folders(mail).items() if folder == "Quarantine"]
    assert not any(name.endswith("-7") for name in moved)
    assert first_bad_row() is None


def test_with_the_tick_what_is_new_goes_too(client: Client, grown: Action, run: Run) -> None:
    assert decide(client, grown, with_new="1") == 302
    run(grown)
    assert (grown.execution, grown.succeeded_count) == (Execution.SUCCEEDED, BEFORE + NEW)


def test_in_bulk_it_is_left_for_who_opens_it(client: Client, grown: Action) -> None:
    (result,) = Action.objects.approve_many([grown.pk], by=by("aiko"))
    assert (result.ok, result.code) == (False, "new_copies")
    assert "3 messages are new" in result.message


def test_what_was_kept_to_is_a_plan_in_the_log(grown: Action) -> None:
    first = Plan.objects.filter(action=grown).order_by("pk")[0]
    grown.approve(by=by("aiko"))

    assert grown.approved_plan is not None
    assert (grown.approved_plan.digest, grown.approved_plan.new_copies) == (first.digest, 0)
    made = Event.objects.filter(stream=f"action:{grown.pk}", kind=Kind.PLAN_MADE).order_by("-seq")[0]
    assert (made.actor_name, (made.after or {})["digest"]) == ("Aiko Tanaka", first.digest)


def test_who_saw_the_plan_before_is_told(grown: Action) -> None:
    first = Plan.objects.filter(action=grown).order_by("pk")[0]
    with pytest.raises(Conflict) as told:
        grown.approve(by=by("aiko"), plan=first.digest)
    assert told.value.code == "plan_changed"
    grown.refresh_from_db()
    assert grown.decision == Decision.PENDING


def test_an_old_count_is_made_again_before_anybody_agrees(client: Client, mail: Estate, run: Run) -> None:
    action = take(Choice(searched(run, "kim")), ActionType.QUARANTINE_EMAIL, "kim")
    run(action)
    Plan.objects.filter(action=action).update(made_at=Now() - timedelta(minutes=61))

    assert decide(client, action) == 409
    run(action)

    assert Plan.objects.filter(action=action).count() == 2
    assert decide(client, action) == 302
    action.refresh_from_db()
    assert action.decision == Decision.APPROVED


def test_what_is_gone_is_said_and_needs_no_tick(client: Client, mail: Estate, run: Run) -> None:
    action = take(Choice(searched(run, "kim")), ActionType.QUARANTINE_EMAIL, "kim")
    run(action)
    with mail.reading() as scene:
        (ref,) = [ref for ref, _ in scene.of("message") if ref.name == "bill-1"]
    mail.change("message", ref.name, ref.owner, sender="bo@corp.example")
    action.look_again(by=by("kim"))
    run(action)

    shown = pane(client, action)
    assert (shown["plan"]["new"], shown["plan"]["since"]) == (0, "1 gone")
    assert decide(client, action) == 302


def test_the_pane_says_whom_it_hits(client: Client, mail: Estate, run: Run) -> None:
    box = factories.mailbox("person1@corp.example")
    type(box).objects.filter(pk=box.pk).update(critical=True)
    action = take(Choice(searched(run, "kim")), ActionType.QUARANTINE_EMAIL, "kim")
    run(action)
    figures = {each["label"]: each["figure"] for each in pane(client, action)["blast"]}
    assert (figures["mailboxes"], figures["critical mailboxes"]) == ("4", "1")
    assert "internal senders" not in figures


def test_counting_again_is_asked_for_once_and_told_of(client: Client, grown: Action) -> None:
    client.force_login(factories.person("kim"))
    for _ in range(2):
        assert client.post(f"/action-center/actions/{grown.pk}/look-again").status_code == 302
    asked = Event.objects.filter(stream=f"action:{grown.pk}", kind=Kind.JOB_REQUESTED)
    assert asked.count() == 2, "once by the page, once by the fixture"
    client.force_login(factories.person("ivo"))
    assert client.post(f"/action-center/actions/{grown.pk}/look-again").status_code == 403
