"""Putting a decision off and handing it over: nothing is decided by either, and expiry is never moved."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from tests import factories
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
PENDING = "/action-center/pending"
HOUR = timedelta(hours=1)


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def soon() -> Any:
    return timezone.now() + HOUR


def events(action: Action, kind: Kind) -> list[Event]:
    return list(Event.objects.filter(stream=f"action:{action.pk}", kind=kind).order_by("seq"))


def order(client: Client, query: str = "") -> list[str]:
    rows = client.get(f"{PENDING}{query}").context["groups"]
    return [row["label"] for group in rows for row in group["rows"]]


def test_putting_off_is_recorded_and_taken_back() -> None:
    action, by = factories.waiting_action(), factories.person("mira").actor()
    until = soon()

    action.defer(until, by=by)
    assert action.deferred_until == until
    action.defer(None, by=by)
    assert action.deferred_until is None
    first, second = events(action, Kind.ACTION_DEFERRED)
    assert (first.after, second.after) == (
        {"deferred_until": until.isoformat()},
        {"deferred_until": None},
    )
    assert action.decision == Decision.PENDING


@pytest.mark.oversight("HO-001")
@pytest.mark.parametrize("late", [timedelta(), timedelta(seconds=1), timedelta(days=30)])
def test_defer_never_past_expiry(late: timedelta) -> None:
    action = factories.waiting_action()

    with pytest.raises(Invalid) as refused:
        action.defer(action.expires_at + late, by=factories.person("mira").actor())
    action.refresh_from_db()
    assert (refused.value.name, action.deferred_until) == ("until", None)
    assert not events(action, Kind.ACTION_DEFERRED)


def test_nothing_is_put_off_into_the_past() -> None:
    with pytest.raises(Invalid):
        factories.waiting_action().defer(timezone.now() - HOUR, by=factories.person("mira").actor())


@pytest.mark.parametrize(
    "change",
    [
        lambda action: action.defer(soon(), by=factories.person("mira").actor()),
        lambda action: action.hand_over(factories.person("sam"), by=factories.person("mira").actor()),
    ],
    ids=["defer", "hand over"],
)
@pytest.mark.parametrize("ended", ["decided", "expired"])
def test_what_no_longer_waits_is_left_alone(change: Callable[[Action], Any], ended: str) -> None:
    action = proposed()
    if ended == "decided":
        put(action, Decision.APPROVED, Execution.QUEUED)
    else:
        Action.objects.filter(pk=action.pk).update(expires_at=timezone.now() - HOUR)

    with pytest.raises(Conflict) as lost:
        change(action)
    action.refresh_from_db()
    assert (lost.value.code, action.assigned_to, action.deferred_until) == (ended, None, None)


@pytest.mark.parametrize("who", ["kim", "aiko", "ivo", "nobody"])
def test_only_who_may_decide_puts_off(who: str) -> None:
    with pytest.raises((Refused, NotVisible)):
        factories.waiting_action().defer(soon(), by=factories.person(who).actor())


def test_handing_over_tells_the_receiver() -> None:
    action = factories.waiting_action()
    action.defer(soon(), by=factories.person("mira").actor())

    action.hand_over(factories.person("sam"), by=factories.person("kim").actor(), comment="you know it")

    notice = Notice.objects.get(user=factories.person("sam"))
    assert (action.assigned_to_name, action.deferred_until) == ("Sam Okoye", None)
    assert notice.title.startswith(f"Kim Larsen handed {action.label} to you")
    assert notice.url == f"/action-center/actions/{action.pk}"
    (event,) = events(action, Kind.ACTION_HANDED_OVER)
    assert (event.actor_name, event.after["assigned_to"], event.detail["comment"]) == (
        "Kim Larsen", "Sam Okoye", "you know it",
    )  # fmt: skip


@pytest.mark.oversight("HO-004")
@pytest.mark.parametrize("receiver", ["kim", "aiko", "ivo", "nobody"])
def test_handed_only_to_who_may_decide(receiver: str) -> None:
    action = factories.waiting_action()

    with pytest.raises(Invalid):
        action.hand_over(factories.person(receiver), by=factories.person("mira").actor())
    action.refresh_from_db()
    assert action.assigned_to is None
    assert not Notice.objects.exists()


def test_handed_to_nobody_inactive_or_out_of_scope() -> None:
    closed = factories.waiting_action(factories.closed_group())
    with pytest.raises(Invalid, match="can't see it"):
        closed.hand_over(factories.person("sam"), by=factories.person("noa").actor())

    factories.person("sam").deactivate(by=factories.SETUP)
    with pytest.raises(Invalid, match="not active"):
        factories.waiting_action().hand_over(factories.person("sam"), by=factories.person("noa").actor())


def test_an_auditor_hands_nothing_over() -> None:
    with pytest.raises(Refused):
        factories.waiting_action().hand_over(factories.person("sam"), by=factories.person("ivo").actor())


def test_what_was_put_off_comes_last_and_says_until_when(mira: Client) -> None:
    first, second, third = factories.waiting_actions(3)
    first.defer(soon(), by=factories.person("mira").actor())

    assert order(mira) == [second.label, third.label, first.label]
    assert order(mira, "?sort=-age")[-1] == first.label
    page = mira.get(PENDING)
    waits, off = page.context["groups"]
    assert (waits["count"], off["label"], off["count"]) == (2, "Put off", 1)
    assert off["rows"][0]["why"].startswith("Put off until ")
    assert page.context["page"]["total_label"] == "3"
    assert page.context["counts"]["pending"] == 3


def test_it_comes_back_by_itself(mira: Client) -> None:
    first, second = factories.waiting_actions(2)
    first.defer(soon(), by=factories.person("mira").actor())
    Action.objects.filter(pk=first.pk).update(deferred_until=timezone.now() - HOUR)

    assert order(mira) == [first.label, second.label]


def test_what_was_handed_to_me_is_one_filter(mira: Client) -> None:
    first, _ = factories.waiting_actions(2)
    first.hand_over(factories.person("mira"), by=factories.person("sam").actor())

    mine = f"?assigned={factories.person('mira').pk}"
    assert order(mira, mine) == [first.label]
    chips = mira.get(f"{PENDING}{mine}").context["chips"]
    assert [(chip["label"], chip["value"]) for chip in chips] == [("Handed to", "me")]
    assert mine[1:] in mira.get(PENDING).content.decode()


def test_the_page_offers_who_may_decide_and_how_long(mira: Client) -> None:
    for name in ("sam", "noa", "kim", "aiko", "ivo"):
        factories.person(name)
    action = factories.waiting_action()

    shown = mira.get(f"/action-center/actions/{action.pk}/assign").context
    assert [person["name"] for person in shown["people"]] == ["Mira Chen", "Noa Levi", "Sam Okoye"]
    assert shown["hours"] == [1, 2, 4, 8, 24, 72]
    assert (
        f"/action-center/actions/{action.pk}/assign"
        in mira.get(f"/action-center/actions/{action.pk}").content.decode()
    )


def test_forms_do_it_once(mira: Client) -> None:
    action = factories.waiting_action()
    address = f"/action-center/actions/{action.pk}"
    sent = {"to": factories.person("sam").pk, "comment": "please", "idempotency_key": "k1"}

    answers = [mira.post(f"{address}/hand-over", sent) for _ in range(3)]
    off = mira.post(f"{address}/defer", {"hours": 2, "idempotency_key": "k2"})

    assert {answer.status_code for answer in (*answers, off)} == {302}
    assert len(events(action, Kind.ACTION_HANDED_OVER)) == 1
    assert Notice.objects.filter(user=factories.person("sam")).count() == 1
    action.refresh_from_db()
    assert (action.assigned_to_name, action.deferred_until is not None) == ("Sam Okoye", True)


@pytest.mark.parametrize(
    ("verb", "sent", "status"),
    [
        ("hand-over", {}, 400),
        ("hand-over", {"to": 10**18}, 400),
        ("defer", {"hours": 24 * 30}, 422),
        ("defer", {"hours": "soon"}, 400),
    ],
)
def test_what_can_not_be_done_is_said(mira: Client, verb: str, sent: dict[str, Any], status: int) -> None:
    action = factories.waiting_action()

    assert mira.post(f"/action-center/actions/{action.pk}/{verb}", sent).status_code == status
    action.refresh_from_db()
    assert (action.assigned_to, action.deferred_until) == (None, None)


def test_out_of_scope_does_not_exist(mira: Client) -> None:
    action = factories.waiting_action(factories.closed_group())

    for verb, sent in (("defer", {"hours": 1}), ("hand-over", {"to": factories.person("noa").pk})):
        assert mira.post(f"/action-center/actions/{action.pk}/{verb}", sent).status_code == 404
    assert mira.get(f"/action-center/actions/{action.pk}/assign").status_code == 404


@pytest.mark.oversight("HO-004")
@pytest.mark.parametrize("fragment", [True, False])
def test_too_little_authority_is_refused_and_can_be_handed_on(client: Client, fragment: bool) -> None:
    client.force_login(factories.person("kim"))
    action = factories.waiting_action()
    headers = {"HX-Request": "true", "HX-Target": "aside#pane"} if fragment else {}

    answer = client.post(f"/action-center/actions/{action.pk}/approve", {"revision": 1}, headers=headers)
    assert answer.status_code == 403
    assert f'href="/action-center/actions/{action.pk}/assign">Hand to…' in answer.content.decode()
    sent = {"to": factories.person("sam").pk}
    assert client.post(f"/action-center/actions/{action.pk}/hand-over", sent).status_code == 302
    action.refresh_from_db()
    assert (action.assigned_to_name, action.decision) == ("Sam Okoye", Decision.PENDING)
