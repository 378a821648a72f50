"""Decisions in a browser: as a fragment and as a plain form, won, lost and refused."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from actioncenter.accounts.answers import key_of_form
from actioncenter.actions.abilities import BUTTONS
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.actions.permissions import Verb
from actioncenter.audit.models import Event
from actioncenter.settings.models import ApprovalRule
from tests import factories
from tests.actions.test_votes import planned, ready
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
PANE = {"HX-Request": "true", "HX-Target": "aside#pane"}
PENDING = "/action-center/pending"


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def send(client: Client, action: Action, verb: str, *, page: bool = False, **fields: Any) -> Any:
    headers = {} if page else PANE
    fields = {"next": PENDING, "revision": 1, **fields}
    return client.post(f"/action-center/actions/{action.pk}/{verb}", fields, headers=headers)


def test_approving_beside_the_list_gives_the_pane_in_its_new_state(mira: Client) -> None:
    action = factories.waiting_action()

    answer = send(mira, action, "approve", revision=1, comment="seen it")
    shown = answer.context["action"]
    assert (answer.status_code, answer["HX-Trigger"]) == (200, "changed")
    assert (shown["result_code"], shown["decision"]["by"], shown["decision"]["comment"]) == (
        "queued", "Mira Chen", "seen it",
    )  # fmt: skip
    assert not shown["can"]["approve"]
    action.refresh_from_db()
    assert (action.decision, action.execution) == (Decision.APPROVED, Execution.QUEUED)


def test_approving_without_scripts_leads_back_with_a_message(mira: Client) -> None:
    action = factories.waiting_action()
    back = f"{PENDING}?verdict=malicious"

    answer = send(mira, action, "approve", page=True, next=back)
    assert (answer.status_code, answer["Location"]) == (302, back)
    assert f"{action.label} is approved and queued." in mira.get(back).content.decode()


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil", ""]
)
def test_a_form_never_leads_to_another_site(mira: Client, elsewhere: str) -> None:
    assert send(mira, factories.waiting_action(), "approve", page=True, next=elsewhere)["Location"] == PENDING


def test_rejecting_needs_a_comment(mira: Client) -> None:
    action = factories.waiting_action()

    refused = send(mira, action, "reject", comment=" ")
    assert refused.status_code == 422
    assert "comment: A comment is required here." in refused.content.decode()
    assert send(mira, action, "reject", comment="signed by us").status_code == 200
    action.refresh_from_db()
    assert (action.decision, action.decision_comment) == (Decision.REJECTED, "signed by us")


@pytest.mark.parametrize("page", [True, False])
def test_who_comes_second_reads_who_was_first(mira: Client, page: bool) -> None:
    action = factories.waiting_action()
    action.approve(by=factories.person("sam").actor(), comment="on it")

    lost = send(mira, action, "approve", page=page)
    text = lost.content.decode()
    assert (lost.status_code, lost["HX-Trigger"]) == (409, "changed")
    assert "Already approved by <bdi>Sam Okoye</bdi>" in text
    assert "data-notice" in text
    assert Event.objects.filter(stream=f"action:{action.pk}", kind="action.approved").count() == 1


def test_an_old_page_is_told_what_changed(mira: Client) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    action.edit({"isolation": "selective", "hours": 0}, by=factories.person("sam").actor(), revision=1)

    answer = send(mira, action, "approve", revision=1)
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "Changed by <bdi>Sam Okoye</bdi> at" in text
    assert "It still waits for a decision. Changed: isolation was full, is now selective." in text
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


OLD, NEW = "a" * 64, "b" * 64


@pytest.mark.parametrize("page", [True, False])
@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ({"targets": ["a"]}, {"targets": ["a", "b"]}, "Now: targets: was 1, is now 2."),
        ({"changes": ["a"], "warnings": []}, {"changes": ["b"], "warnings": ["odd"]}, "Now: changes differ; warnings: was 0, is now 1."),
        ({"targets": ["a"]}, {"targets": ["a"]}, ""),
    ],
)  # fmt: skip
def test_a_page_with_an_old_plan_is_told_what_the_new_one_says(
    mira: Client, then: dict[str, Any], now: dict[str, Any], told: str, page: bool
) -> None:
    action = ready()
    planned(action, OLD, **then)
    planned(action, NEW, **now)

    answer = send(mira, action, "approve", page=page, plan=OLD)
    text = " ".join(re.sub(r"<[^>]+>", "", answer.content.decode()).split())
    assert answer.status_code == 409
    assert re.search(r"A new plan was made at \d\d:\d\d:\d\d", text)
    assert "was not recorded. It still waits for a decision." in text
    assert told in text
    assert ("Now:" in text) is bool(told)
    action.refresh_from_db()
    assert action.decision == Decision.PENDING
    assert not action.votes.exists()
    assert send(mira, action, "approve", page=page, plan=NEW).status_code == (302 if page else 200)


def test_a_page_from_before_the_first_plan_is_told_what_it_says(mira: Client) -> None:
    action = ready()
    planned(action, NEW, targets=["a", "b"])

    answer = send(mira, action, "approve", plan="")
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "A first plan was made" in text
    assert "Now: targets: was 0, is now 2." in text
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_what_was_edited_is_not_decided_on_by_a_form_that_does_not_say_what_it_saw(
    mira: Client, verb: str
) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    action.edit({"isolation": "selective", "hours": 0}, by=factories.person("sam").actor(), revision=1)

    assert send(mira, action, verb, revision="", comment="blind").status_code == 409
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


@pytest.mark.parametrize("swept", [False, True])
def test_who_decides_too_late_reads_when_it_expired(mira: Client, swept: bool) -> None:
    action = factories.waiting_action()
    Action.objects.filter(pk=action.pk).update(expires_at=datetime(2026, 3, 1, 9, 30, 15, tzinfo=UTC))
    assert not swept or Action.objects.expire_due(by=factories.SETUP) == 1

    answer = send(mira, action, "approve", revision=1)
    text = " ".join(re.sub(r"<[^>]+>", "", answer.content.decode()).split())
    assert answer.status_code == 409
    assert "Expired undecided at 09:30:15" in text
    assert "was not recorded. That counts as a rejection: nothing will be done." in text


def test_one_vote_of_two_counts_and_waits(mira: Client) -> None:
    ApprovalRule.objects.create(quorum=2)
    action = factories.waiting_action()

    shown = send(mira, action, "approve").context["action"]
    assert shown["why_not"] == {"approve": "You have already voted on it."}
    assert mira.get(f"/action-center/actions/{action.pk}").context["action"]["live"]
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


def test_undo_links_both_and_needs_a_comment(mira: Client) -> None:
    action = put(factories.waiting_action(), Decision.APPROVED, Execution.SUCCEEDED)
    action.targets.update(state=5)

    assert send(mira, action, "undo").status_code == 422
    shown = send(mira, action, "undo", comment="wrong file", idempotency_key="k1").context["action"]
    action.refresh_from_db()
    assert action.undone_by is not None
    key = key_of_form("k1", by=factories.person("mira").actor())
    assert (action.undone_by.undo_of_id, action.undone_by.idempotency_key) == (action.pk, key)
    assert shown["undone_by"]["label"] == action.undone_by.label
    assert send(mira, action, "undo", comment="again").status_code == 409


@pytest.mark.parametrize("kind", [ActionType.ANTIVIRUS_SCAN, ActionType.KILL_PROCESS])
def test_what_can_not_be_undone_is_refused_on_a_direct_call(mira: Client, kind: ActionType) -> None:
    action = put(proposed(kind), Decision.APPROVED, Execution.SUCCEEDED)

    assert send(mira, action, "undo", comment="please").status_code == 403
    assert not mira.get(f"/action-center/actions/{action.pk}").context["action"]["can"]["undo"]


def test_what_runs_can_be_cancelled_once(mira: Client) -> None:
    action = put(proposed(), Decision.APPROVED, Execution.IN_PROGRESS)

    shown = send(mira, action, "cancel").context["action"]
    assert shown["why_not"] == {"cancel": "It was already asked to stop."}
    assert shown["notes"] == [{"tone": "warn", "text": "Mira Chen asked to cancel this."}]


def test_what_failed_can_be_retried(mira: Client) -> None:
    action = put(factories.waiting_action(), Decision.APPROVED, Execution.FAILED)
    action.targets.update(state=8)

    assert send(mira, action, "retry").context["action"]["result_code"] == "queued"


@pytest.mark.parametrize(("verb", "result"), [("happened", "succeeded"), ("not-happened", "failed")])
def test_somebody_who_looked_says_how_it_ended(mira: Client, verb: str, result: str) -> None:
    action = put(factories.waiting_action(), Decision.APPROVED, Execution.OUTCOME_UNKNOWN)
    action.targets.update(state=4)

    assert send(mira, action, verb).status_code == 422
    assert send(mira, action, verb, comment="I looked").context["action"]["result_code"] == result


@pytest.mark.parametrize("verb", BUTTONS)
@pytest.mark.parametrize("username", ["ivo", "kim", "aiko"])
def test_without_the_role_there_is_no_button_and_no_way_round_it(
    client: Client, username: str, verb: str
) -> None:
    client.force_login(factories.person(username))
    state = {
        "undo": (Decision.APPROVED, Execution.SUCCEEDED), "retry": (Decision.APPROVED, Execution.FAILED),
        "cancel": (Decision.APPROVED, Execution.QUEUED), "happened": (Decision.APPROVED, Execution.OUTCOME_UNKNOWN),
        "not-happened": (Decision.APPROVED, Execution.OUTCOME_UNKNOWN),
    }.get(verb, (Decision.PENDING, Execution.NONE))  # fmt: skip
    action = put(proposed(), *state)

    shown = client.get(f"/action-center/actions/{action.pk}")
    assert not any(shown.context["action"]["can"].values())
    assert b'name="verb"' not in shown.content
    # Whoever may propose may propose again; here is nothing that would call for it.
    may = BUTTONS[verb] is Verb.PROPOSE and username != "ivo"
    assert send(client, action, verb, comment="let me").status_code == (409 if may else 403)
    assert Event.objects.filter(stream=f"action:{action.pk}").count() == 1


@pytest.mark.parametrize("verb", BUTTONS)
def test_what_lies_outside_the_scope_does_not_exist(mira: Client, verb: str) -> None:
    hidden = proposed(group_id=factories.closed_group().pk)

    assert send(mira, hidden, verb, comment="x").status_code == 404
    assert mira.get(f"/action-center/actions/{hidden.pk}").status_code == 404
    assert mira.get(f"{PENDING}?open={hidden.pk}").status_code == 404
    assert mira.get(f"{PENDING}?open={hidden.pk}", headers=PANE).status_code == 404


def test_the_proposer_of_a_two_step_action_may_not_decide_it(mira: Client) -> None:
    ApprovalRule.objects.create(four_eyes=True)
    action = proposed(by=factories.person("mira").actor())

    assert send(mira, action, "approve").status_code == 403
    (row,) = mira.get(PENDING).context["groups"][0]["rows"]
    assert row["disabled_reason"] == "Whoever proposed an action may not decide it."


def test_a_decision_is_only_taken_by_post(mira: Client) -> None:
    assert mira.get(f"/action-center/actions/{proposed().pk}/approve").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/action-center/actions/1/approve").status_code in {302, 403}
