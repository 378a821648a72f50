"""A shift handed over: everything that stands is on paper, and nothing moves before somebody takes it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.accounts.models import Notice
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, Risk, TargetState
from actioncenter.actions.models import Action, ActionTarget, Handover
from actioncenter.actions.models.handing_over import HandoverError
from actioncenter.actions.models.shift import HOLDS, MAKERS, SECTIONS, SHOWN
from actioncenter.actions.permissions import Refused
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import IndicatorEffect, IndicatorKind, StopScope
from actioncenter.settings.models import (
    Breaker,
    ConnectorInstance,
    DeviceGroup,
    FolderExclusion,
    Indicator,
    Stop,
)
from tests import factories
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
LIST = "/action-center/handover"
THREE = "isolated laptop\nphish campaign\nflaky connector"
HOUR = timedelta(hours=1)


def offered(who: str = "mira", **more: Any) -> Handover:
    return Handover.offer(
        by=factories.person(who).actor(), since=timezone.now() - 8 * HOUR, concerns="Watch fin-lt", **more
    )


def taken(handover: Handover, who: str = "sam", **more: Any) -> int:
    fields = {"restated": THREE, "seen": set(SECTIONS)} | more
    return handover.accept(by=factories.person(who).actor(), **fields)


def section(handover: Handover, key: str) -> dict[str, Any]:
    (found,) = [part for part in handover.body["sections"] if part["key"] == key]
    return found


def texts(handover: Handover, key: str) -> str:
    return "\n".join(f"{line['text']} {line['detail']}" for line in section(handover, key)["lines"])


def a_busy_shift() -> None:
    """Something of everything that a handover speaks of."""
    group = factories.group()
    factories.waiting_actions(3)
    factories.waiting_mail_action()
    for state in (Execution.QUEUED, Execution.IN_PROGRESS, Execution.OUTCOME_UNKNOWN):
        put(proposed(name=state.name, on=state.name), Decision.APPROVED, state)
    put(proposed(name="refused"), Decision.REJECTED, Execution.NONE)
    undone = put(proposed(name="undo"), Decision.NOT_REQUIRED, Execution.FAILED)
    Action.objects.filter(pk=undone.pk).update(
        undo_of=put(proposed(), Decision.APPROVED, Execution.SUCCEEDED)
    )
    held = put(proposed(ActionType.ISOLATE_DEVICE), Decision.APPROVED, Execution.SUCCEEDED)
    held.targets.update(state=TargetState.SUCCEEDED, device=factories.device(in_group=group))
    Stop.objects.create(scope=StopScope.ALL, pulled_by_name="Noa Levi", reason="drill")
    Breaker.objects.create(
        group=group, action_type=ActionType.QUARANTINE_FILE, bad=4, of=20, cool_until=timezone.now()
    )
    FolderExclusion.objects.create(folder=r"C:\Build")
    Indicator.objects.create(kind=IndicatorKind.FILE_HASH, value="f" * 64, effect=IndicatorEffect.ALLOW)
    Notice.objects.create(user=factories.person("mira"), kind="a.b", title="x", mail_error="refused")


@pytest.mark.oversight("HO-019", "X-7")
def test_handover_complete() -> None:
    a_busy_shift()
    expected = {
        "waiting": set(Action.objects.waiting().values_list("pk", flat=True)),
        "approved": set(Action.objects.filter(execution=Execution.QUEUED).values_list("pk", flat=True)),
        "running": set(
            Action.objects.filter(
                execution__in=[Execution.IN_PROGRESS, Execution.OUTCOME_UNKNOWN]
            ).values_list("pk", flat=True)
        )
        | set(Action.objects.filter(undo_of__isnull=False).values_list("pk", flat=True)),
        "held": set(
            ActionTarget.objects.filter(
                action__type=ActionType.ISOLATE_DEVICE, state=TargetState.SUCCEEDED
            ).values_list("action", flat=True)
        ),
        "rejected": set(Action.objects.filter(decision=Decision.REJECTED).values_list("pk", flat=True)),
    }

    made = offered()

    assert {key: set(section(made, key)["numbers"]) for key in expected} == expected
    assert all(expected.values())
    assert section(made, "stops")["total"] == Stop.objects.count() + Breaker.objects.count() + 1
    assert section(made, "exceptions")["total"] == FolderExclusion.objects.count() + Indicator.objects.count()
    assert section(made, "connectors")["total"] == ConnectorInstance.objects.count()
    assert section(made, "undelivered")["total"] == 1
    assert section(made, "levels")["total"] == DeviceGroup.objects.count() + 1


@pytest.mark.parametrize("key", SECTIONS)
def test_every_section_is_made_and_named(key: str) -> None:
    assert key in MAKERS
    assert section(offered(), key)["title"] == SECTIONS[key]


def test_both_clocks_of_what_waits_are_told() -> None:
    action = factories.waiting_action()
    Action.objects.filter(pk=action.pk).update(answer_by=timezone.now() + HOUR, risk=Risk.HIGH)
    action.refresh_from_db()

    told = texts(offered(), "waiting")
    assert "high risk" in told
    assert f"answer by {action.answer_by:%Y-%m-%d %H:%M} UTC" in told
    assert f"expires {action.expires_at:%Y-%m-%d %H:%M} UTC" in told


def test_a_release_ends_a_hold() -> None:
    device = factories.device()
    held = put(proposed(ActionType.ISOLATE_DEVICE), Decision.APPROVED, Execution.SUCCEEDED)
    held.targets.update(state=TargetState.SUCCEEDED, device=device)
    assert section(offered(), "held")["numbers"] == [held.pk]

    released = put(proposed(ActionType.RELEASE_DEVICE), Decision.APPROVED, Execution.SUCCEEDED)
    released.targets.update(state=TargetState.SUCCEEDED, device=device)
    assert section(offered("sam"), "held")["numbers"] == []


@pytest.mark.oversight("X-7")
def test_an_old_hold_is_asked_about() -> None:
    held = put(
        proposed(ActionType.ISOLATE_DEVICE), Decision.APPROVED, Execution.SUCCEEDED, ago=timedelta(days=4)
    )
    held.targets.update(state=TargetState.SUCCEEDED, device=factories.device())

    assert texts(offered(), "held").endswith("more than three days: still?")


def test_a_long_list_is_cut_and_says_so(client: Client) -> None:
    for at in range(SHOWN + 1):
        put(proposed(name=f"f{at}"), Decision.REJECTED, Execution.NONE)
    made = offered()

    part = section(made, "rejected")
    assert (part["total"], len(part["numbers"]), len(part["lines"])) == (SHOWN + 1, SHOWN + 1, SHOWN)
    client.force_login(factories.person("sam"))
    assert "and 1 more" in client.get(f"{LIST}/{made.pk}").content.decode()


def test_what_is_written_stays_as_it_was() -> None:
    made = offered()
    before = made.body
    factories.waiting_action()

    made.refresh_from_db()
    assert made.body == before


@pytest.mark.oversight("HO-019")
def test_handover_needs_acceptance() -> None:
    action = factories.waiting_action()
    action.hand_over(factories.person("mira"), by=factories.person("mira").actor())
    made = offered()
    for more in ({"seen": set(SECTIONS) - {"held"}}, {"restated": "one\n\ntwo"}):
        with pytest.raises(HandoverError):
            taken(made, **more)
    action.refresh_from_db()
    assert action.assigned_to == factories.person("mira")

    assert taken(made) == 1

    action.refresh_from_db()
    assert (action.assigned_to, action.assigned_to_name) == (factories.person("sam"), "Sam Okoye")
    assert (made.given_by_name, made.taken_by_name, made.restated) == ("Mira Chen", "Sam Okoye", THREE)
    event = Event.objects.get(kind=Kind.HANDOVER_ACCEPTED)
    assert (event.actor_name, event.subject_name, event.after["moved"]) == (
        "Sam Okoye", "Shift of Mira Chen", [action.pk],
    )  # fmt: skip
    assert Notice.objects.get(user=factories.person("mira")).title == "Sam Okoye took over your shift"


def test_what_the_leaver_put_off_is_not_put_off_for_the_taker() -> None:
    action, by = factories.waiting_action(), factories.person("mira").actor()
    action.hand_over(factories.person("mira"), by=by)
    until = timezone.now() + timedelta(hours=8)
    action.defer(until, by=by)
    assert taken(offered()) == 1
    action.refresh_from_db()
    assert action.deferred_until is None
    event = Event.objects.filter(stream=f"action:{action.pk}", kind=Kind.ACTION_HANDED_OVER).latest("seq")
    assert (event.before["deferred_until"], event.after["deferred_until"]) == (until.isoformat(), None)


def test_what_the_taker_may_not_decide_stays() -> None:
    action = factories.waiting_action()
    action.hand_over(factories.person("mira"), by=factories.person("mira").actor())

    assert taken(offered(), "aiko") == 0
    action.refresh_from_db()
    assert action.assigned_to == factories.person("mira")
    assert Event.objects.get(kind=Kind.HANDOVER_ACCEPTED).after["kept"] == [action.pk]


def test_a_decided_action_stays_with_who_had_it() -> None:
    action = factories.waiting_action()
    action.hand_over(factories.person("mira"), by=factories.person("mira").actor())
    action.reject(by=factories.person("mira").actor(), comment="ours")

    assert taken(offered()) == 0


def accepted_twice(made: Handover) -> None:
    taken(made)
    taken(made, "noa")


def taken_back_by_another(made: Handover) -> None:
    made.cancel(by=factories.person("noa").actor())


def taken_back_too_late(made: Handover) -> None:
    taken(made)
    made.cancel(by=factories.person("mira").actor())


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (lambda made: taken(made, "mira"), "same_person"),
        (accepted_twice, "ended"),
        (taken_back_by_another, "other_person"),
        (taken_back_too_late, "ended"),
        (lambda made: offered(), "open"),
    ],
)
def test_steps_that_can_not_be_made(step: Callable[[Handover], Any], code: str) -> None:
    made = offered()

    with pytest.raises(HandoverError) as error:
        step(made)
    assert error.value.code == code


@pytest.mark.parametrize("who", ["ivo", "nobody"])
def test_who_works_on_nothing_hands_nothing_over(who: str) -> None:
    with pytest.raises(Refused):
        offered(who)
    with pytest.raises(Refused):
        taken(offered(), who)


@pytest.mark.parametrize("ago", [-HOUR, timedelta(days=8)])
def test_a_shift_began_lately(ago: timedelta) -> None:
    with pytest.raises(HandoverError):
        Handover.offer(by=factories.person("mira").actor(), since=timezone.now() - ago)


def test_taking_it_back_moves_nothing() -> None:
    made = offered()
    made.cancel(by=factories.person("mira").actor())

    assert not made.is_open
    assert offered().is_open


def test_groups_that_the_reader_can_not_see(client: Client) -> None:
    closed = factories.closed_group()
    hidden = factories.waiting_action(closed)
    factories.person("mira").groups.add(Group.objects.get(name="Board members response"))
    made = offered()
    assert hidden.pk in section(made, "waiting")["numbers"]

    with pytest.raises(HandoverError) as error:
        taken(made)
    assert error.value.code == "scope"
    client.force_login(factories.person("sam"))
    assert client.get(f"{LIST}/{made.pk}").status_code == 404
    assert client.get(LIST).context["rows"] == []
    assert taken(made, "noa") == 0


def test_offered_read_and_taken_in_a_browser(client: Client) -> None:
    a_busy_shift()
    client.force_login(factories.person("mira"))
    answer = client.post(f"{LIST}/offer", {"hours": 8, "concerns": "<b>loud</b>", "idempotency_key": "a"})
    page = answer["Location"]
    assert (
        client.post(
            f"{LIST}/offer", {"hours": 8, "concerns": "<b>loud</b>", "idempotency_key": "a"}
        ).status_code
        == 302
    )
    assert Handover.objects.count() == 1
    assert "Take the offer back" in client.get(page).content.decode()

    client.force_login(factories.person("sam"))
    shown = client.get(page)
    assert "&lt;b&gt;loud" in shown.content.decode()
    assert [part["title"] for part in shown.context["sections"]] == list(SECTIONS.values())
    sent = {"point": THREE.split("\n"), "seen": list(SECTIONS)[1:], "idempotency_key": "b"}
    refused = client.post(f"{page}/accept", sent)
    assert (refused.status_code, refused.context["points"]) == (422, THREE.split("\n"))
    assert "Not ticked yet: Stops" in refused.content.decode()
    assert client.post(f"{page}/accept", {**sent, "seen": list(SECTIONS)}).status_code == 302
    assert Handover.objects.get().taken_by == factories.person("sam")
    assert (
        client.post(f"{page}/accept", {**sent, "idempotency_key": "c", "seen": list(SECTIONS)}).status_code
        == 409
    )


def test_no_more_queries_with_more_to_hand_over(client: Client) -> None:
    by = factories.person("mira").actor()
    client.force_login(factories.person("sam"))
    counts = []
    for _ in range(2):
        a_busy_shift_of_actions()
        with CaptureQueriesContext(connection) as offering:
            made = Handover.offer(by=by, since=timezone.now() - HOUR)
        counts.append([len(offering)])
        client.get(f"{LIST}/{made.pk}")
        with CaptureQueriesContext(connection) as reading:
            client.get(f"{LIST}/{made.pk}")
        counts[-1].append(len(reading))
        made.cancel(by=by)

    assert counts[0] == counts[1]
    assert counts[0][0] <= 40


def a_busy_shift_of_actions() -> None:
    factories.waiting_actions(2)
    for state in (Execution.QUEUED, Execution.OUTCOME_UNKNOWN):
        put(proposed(name=state.name, on=f"h{Action.objects.count()}"), Decision.APPROVED, state)
    held = put(
        proposed(ActionType.ISOLATE_DEVICE, on=f"d{Action.objects.count()}"),
        Decision.APPROVED,
        Execution.SUCCEEDED,
    )
    held.targets.update(state=TargetState.SUCCEEDED, device=factories.device())


@pytest.mark.parametrize("kind", HOLDS)
def test_a_hold_ends_by_its_inverse(kind: ActionType) -> None:
    assert CATALOGUE[kind].inverse == HOLDS[kind]
