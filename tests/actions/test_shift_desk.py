"""Who is on what, since when, until they leave; and what people say to each other about an action."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.accounts.models import Notice, User
from actioncenter.actions import escalation
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.models.commenting import AT_MOST, mentioned
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.auditor.models import PageView
from tests import factories
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
KEEPER = Actor.system("runner")


def by(name: str) -> Actor:
    return factories.person(name).actor()


def events(action: Action, kind: Kind) -> list[Event]:
    return list(Event.objects.filter(stream=f"action:{action.pk}", kind=kind).order_by("seq"))


def long_ago(action: Action, ago: timedelta = escalation.AWAY) -> None:
    Action.objects.filter(pk=action.pk).update(assigned_at=timezone.now() - ago - timedelta(minutes=1))


def look(name: str, ago: timedelta) -> None:
    person = factories.person(name)
    PageView.objects.create(
        at=timezone.now() - ago, actor=person.ref, actor_name=name, page="actions:pending", address="/"
    )


def test_whoever_takes_it_is_on_it_since_then() -> None:
    action = factories.waiting_action().take(by=by("mira"))

    assert (action.assigned_to, action.assigned_to_name) == (factories.person("mira"), "Mira Chen")
    assert action.assigned_at is not None
    (event,) = events(action, Kind.ACTION_TAKEN)
    assert event.after["assigned_at"] == action.assigned_at.isoformat()
    assert action.decision == Decision.PENDING


def test_the_second_is_told_who_is_on_it() -> None:
    action = factories.waiting_action().take(by=by("mira"))

    with pytest.raises(Conflict, match="is with Mira Chen") as lost:
        action.take(by=by("sam"))
    assert lost.value.code == "taken"
    assert action.take(by=by("mira")).assigned_to_name == "Mira Chen"
    assert len(events(action, Kind.ACTION_TAKEN)) == 1


def test_it_is_given_back_by_anybody_who_works_on_actions() -> None:
    action = factories.waiting_action().take(by=by("mira"))

    action.give_back(by=by("kim"), comment="Mira is at lunch")

    assert (action.assigned_to, action.assigned_to_name, action.assigned_at) == (None, "", None)
    (event,) = events(action, Kind.ACTION_GIVEN_BACK)
    assert (event.actor_name, event.detail["comment"]) == ("Kim Larsen", "Mira is at lunch")
    with pytest.raises(Conflict):
        action.give_back(by=by("kim"))


@pytest.mark.parametrize("who", ["kim", "aiko", "ivo", "nobody"])
def test_only_who_may_decide_takes_it(who: str) -> None:
    with pytest.raises((Refused, NotVisible)):
        factories.waiting_action().take(by=by(who))


def test_whoever_proposed_it_can_not_take_it() -> None:
    action = proposed()
    Action.objects.filter(pk=action.pk).update(proposers=[by("mira").ref], approval_rule={"four_eyes": True})

    with pytest.raises(Invalid, match="may not decide"):
        action.take(by=by("mira"))


@pytest.mark.parametrize("change", ["take", "give_back"])
def test_what_is_decided_is_with_nobody(change: str) -> None:
    action = put(proposed(), Decision.APPROVED, Execution.QUEUED)

    with pytest.raises(Conflict) as lost:
        getattr(action, change)(by=by("mira"))
    assert lost.value.code == "decided"


def test_handing_over_says_since_when_anew() -> None:
    action = factories.waiting_action().take(by=by("mira"))
    long_ago(action)

    action.hand_over(factories.person("sam"), by=by("mira"))

    assert timezone.now() - action.assigned_at < timedelta(hours=1)


def test_what_somebody_left_is_given_back() -> None:
    action = factories.waiting_action().take(by=by("mira"))
    long_ago(action)
    look("mira", escalation.AWAY + timedelta(minutes=5))

    assert escalation.free_what_was_left(KEEPER) == 1

    action.refresh_from_db()
    assert action.assigned_to_name == ""
    (event,) = events(action, Kind.ACTION_GIVEN_BACK)
    assert (event.actor_name, event.detail["comment"]) == ("System (runner)", "Mira Chen has left.")
    assert escalation.free_what_was_left(KEEPER) == 0


def _lately(action: Action) -> None:
    long_ago(action)
    look("mira", timedelta(hours=1))


def _just_taken(action: Action) -> None:
    look("mira", escalation.AWAY + timedelta(days=1))


def _decided(action: Action) -> None:
    long_ago(action)
    put(action, Decision.APPROVED, Execution.QUEUED)


@pytest.mark.parametrize("case", [_lately, _just_taken, _decided])
def test_what_is_not_left_stays_where_it_is(case: Callable[[Action], None]) -> None:
    action = factories.waiting_action().take(by=by("mira"))
    case(action)

    assert escalation.free_what_was_left(KEEPER) == 0


def test_whoever_may_not_sign_in_any_more_has_left_at_once() -> None:
    factories.waiting_action().take(by=by("mira"))
    factories.person("mira").deactivate(by=by("noa"))

    assert escalation.free_what_was_left(KEEPER) == 1


# Talking


def test_a_comment_is_part_of_the_story() -> None:
    action = factories.waiting_action()

    assert action.comment("  Seen this before.\nHarmless.  ", by=by("kim")) == []

    (event,) = events(action, Kind.ACTION_COMMENTED)
    assert (event.actor_name, event.detail["comment"]) == ("Kim Larsen", "Seen this before.\nHarmless.")


def test_whoever_is_mentioned_is_told() -> None:
    action, _ = factories.waiting_action(), factories.person("sam")

    missed = action.comment("@sam and @sam. @mira, see mail@aiko @nowhere", by=by("mira"))

    assert missed == ["nowhere"]
    notice = Notice.objects.get()
    assert notice.user == factories.person("sam")
    assert notice.title.startswith(f"Mira Chen mentions you on {action.label}")
    assert notice.url == f"/action-center/actions/{action.pk}"


def test_nobody_is_told_of_what_they_can_not_see() -> None:
    factories.person("nobody")

    assert factories.waiting_action().comment("@nobody", by=by("mira")) == ["nobody"]
    assert not Notice.objects.exists()


@pytest.mark.parametrize("text", ["", "  \n", "x" * 4001, " ".join(f"@p{n}" for n in range(AT_MOST + 1))])
def test_a_comment_that_says_nothing_or_too_much(text: str) -> None:
    action = factories.waiting_action()

    with pytest.raises(Invalid):
        action.comment(text, by=by("mira"))
    assert not events(action, Kind.ACTION_COMMENTED)


@pytest.mark.parametrize("who", ["ivo", "nobody"])
def test_who_only_looks_says_nothing(who: str) -> None:
    with pytest.raises((Refused, NotVisible)):
        factories.waiting_action().comment("hm", by=by(who))


@pytest.mark.parametrize(
    ("text", "names"),
    [("@a.b-c+d", ["a.b-c+d"]), ("x@y", []), ("@@z", []), ("(@z)", ["z"]), ("@z! @z", ["z"]), ("@...", [])],
)
def test_names_after_an_at(text: str, names: list[str]) -> None:
    assert mentioned(text) == names


# Pages


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def post(client: Client, action: Action, verb: str, **fields: Any) -> Any:
    form = {"idempotency_key": f"{verb}{action.pk}", **fields}
    answer = client.post(f"/action-center/actions/{action.pk}/{verb}", form)
    return client.get(f"/action-center/actions/{action.pk}") if answer.status_code in {302, 303} else answer


def test_the_pane_says_with_whom_and_what_was_said(mira: Client) -> None:
    action, _ = factories.waiting_action(), factories.person("sam")

    assert b"is with you now" in post(mira, action, "take").content
    page = post(mira, action, "comment", comment="@sam what is <b>this</b>?").content.decode()
    assert "Your comment is kept." in page
    assert "what is &lt;b&gt;this&lt;/b&gt;?" in page
    assert "With Mira Chen since" in page
    assert "Give it back" in page
    assert b"With Mira Chen" in mira.get("/action-center/pending").content
    assert b"is with nobody now" in post(mira, action, "give-back").content
    assert User.objects.get(username="sam").notices.count() == 1


def test_who_is_later_reads_who_was_first(mira: Client) -> None:
    action = factories.waiting_action().take(by=by("sam"))

    answer = post(mira, action, "take")

    assert answer.status_code == 409
    assert b"is with Sam Okoye" in answer.content


def test_an_old_page_takes_it_from_nobody_who_has_taken_it_since(mira: Client) -> None:
    action = factories.waiting_action().take(by=by("sam"))
    shown = mira.get(f"/action-center/actions/{action.pk}")
    seen = shown.context["action"]["holder"]
    assert f'name="seen" value="{seen}"' in shown.content.decode()
    action.give_back(by=by("sam")).take(by=by("noa"))

    answer = post(mira, action, "give-back", seen=seen)

    assert answer.status_code == 409
    assert b"is with Noa Levi by now" in answer.content
    action.refresh_from_db()
    assert action.assigned_to_name == "Noa Levi"
    assert len(events(action, Kind.ACTION_GIVEN_BACK)) == 1
    now = mira.get(f"/action-center/actions/{action.pk}").context["action"]["holder"]
    assert b"is with nobody now" in post(mira, action, "give-back", seen=now, idempotency_key="anew").content


def test_who_does_not_say_whose_it_was_gives_back_their_own_only(mira: Client) -> None:
    action = factories.waiting_action().take(by=by("sam"))

    assert post(mira, action, "give-back").status_code == 409
    assert post(mira, action, "give-back", seen="Sam", idempotency_key="anew").status_code == 400
    action.refresh_from_db()
    assert action.assigned_to_name == "Sam Okoye"


def test_what_was_with_somebody_whose_account_is_gone_can_be_given_back(mira: Client) -> None:
    action = factories.waiting_action().take(by=by("sam"))
    Action.objects.filter(pk=action.pk).update(assigned_to=None)

    assert b"is with nobody now" in post(mira, action, "give-back", seen=0).content


def test_a_comment_out_of_scope_does_not_exist(client: Client) -> None:
    client.force_login(factories.person("nobody"))

    assert post(client, factories.waiting_action(), "comment", comment="x").status_code in {403, 404}


def test_what_expires_next_is_one_click_away(mira: Client) -> None:
    soon, later = factories.waiting_action(), factories.waiting_action()
    Action.objects.filter(pk=soon.pk).update(expires_at=timezone.now() + timedelta(hours=2))

    context = mira.get("/action-center/pending").context
    (view,) = [view for view in context["views"] if view["label"] == "Expiring next"]
    groups = mira.get(view["url"]).context["groups"]
    assert [row["number"] for group in groups for row in group["rows"]] == [soon.pk] != [later.pk]
