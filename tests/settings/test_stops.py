"""Who may stop and resume what, and what is told of it."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db.models import F
from django.utils import timezone

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution import watching
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role, StopKind, StopScope, StopSource
from actioncenter.settings.models import ConnectorInstance, Stop
from actioncenter.settings.models.stops import StopError, write_stop_file
from tests import factories
from tests.settings.stopping import ALL, GROUP, INVESTIGATION, PAUSE, STOP, pull, stop_file

__all__ = ["stop_file"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stop_file")]
RUNNER = Actor.system("runner")


def events(stop: Stop) -> list[str]:
    return list(Event.objects.filter(subject=stop.ref).order_by("pk").values_list("kind", flat=True))


def told(kind: str) -> set[str]:
    return set(Notice.objects.filter(kind=kind).values_list("user__username", flat=True))


@pytest.mark.oversight("HO-009")
@pytest.mark.parametrize("role", Role)
def test_every_role_but_auditor_may_stop_and_only_admin_may_resume(role: Role) -> None:
    person = factories.person("nobody")
    person.grant(role, by=factories.SETUP)
    stop = pull()

    if role == Role.AUDITOR:
        with pytest.raises(StopError, match="every other role"):
            Stop.pull(STOP, GROUP, factories.group().pk, by=person.actor())
    else:
        assert Stop.pull(STOP, GROUP, factories.group().pk, by=person.actor()).pk
    if role == Role.ADMIN:
        assert stop.lift(by=factories.actor(person))
        return
    with pytest.raises(StopError, match="Only an admin"):
        stop.lift(by=factories.actor(person))
    assert Stop.objects.in_force().filter(pk=stop.pk).exists()


@pytest.mark.oversight("HO-009")
def test_resuming_takes_a_fresh_password_of_people_only() -> None:
    noa, stop, other = factories.person("noa"), pull(), pull(PAUSE)
    for by in (noa.actor(), noa.actor(proved_at=time.time() - 601)):
        with pytest.raises(StopError) as refused:
            stop.lift(by=by)
        assert refused.value.code == "reauthenticate"
    assert set(Stop.objects.in_force()) == {stop, other}
    assert events(stop) == ["switch.pulled"]

    assert stop.lift(by=noa.actor(proved_at=time.time() - 590))
    assert other.lift(by=Actor.command("resume"))


@pytest.mark.oversight("HO-009")
def test_a_right_taken_away_is_gone_at_the_next_try() -> None:
    noa = factories.person("noa")
    by = factories.actor(noa)
    stop = pull()
    noa.revoke(Role.ADMIN, by=factories.SETUP)

    with pytest.raises(StopError) as refused:
        stop.lift(by=by)
    assert refused.value.code == "role"
    with pytest.raises(StopError):
        Stop.pull(STOP, GROUP, factories.group().pk, by=by)


def test_nobody_without_a_role_stops_anything() -> None:
    with pytest.raises(StopError):
        pull(who="nobody")


@pytest.mark.parametrize("kind", StopKind)
@pytest.mark.parametrize("scope", StopScope)
def test_pulled_twice_is_pulled_once(kind: StopKind, scope: StopScope) -> None:
    value = {
        StopScope.ALL: None,
        StopScope.CONNECTOR: ConnectorInstance.objects.values_list("pk", flat=True)[0],
        StopScope.GROUP: factories.group().pk,
        StopScope.TYPE: ActionType.ISOLATE_DEVICE.value,
        StopScope.INVESTIGATION: factories.investigation().pk,
    }[scope]

    first, second = pull(kind, scope, value), pull(kind, scope, value, who="mira")

    assert (first.pk, first.pulled_by_name) == (second.pk, "Noa Levi")
    assert events(first) == ["switch.pulled"]
    assert first.lift(by=factories.actor(factories.person("noa")), comment="Found it")
    assert not first.lift(by=factories.actor(factories.person("noa")))
    assert events(first) == ["switch.pulled", "switch.released"]
    assert pull(kind, scope, value).pk != first.pk, "and it can be pulled anew"


@pytest.mark.parametrize("scope", [scope for scope in StopScope if scope not in {ALL, INVESTIGATION}])
def test_what_is_not_there_cannot_be_stopped(scope: StopScope) -> None:
    with pytest.raises(StopError, match="no such"):
        pull(STOP, scope, 987_654)


def test_what_is_meant_must_be_said() -> None:
    for scope, value in [(ALL, 1), (GROUP, None)]:
        with pytest.raises(StopError, match="Say what"):
            pull(STOP, scope, value)


@pytest.mark.oversight("HO-006")
def test_a_timed_pause_ends_by_itself_and_a_stop_never() -> None:
    noa, soon = factories.person("noa").actor(), timezone.now() + timedelta(minutes=5)
    stop, pause = pull(), Stop.pull(PAUSE, ALL, by=noa, until=soon)
    with pytest.raises(StopError, match="Only a pause"):
        Stop.pull(STOP, ALL, by=noa, until=soon)

    watching.mind_stops(RUNNER)
    assert set(Stop.objects.in_force()) == {stop, pause}
    Stop.objects.update(until=timezone.now() - timedelta(seconds=1))
    watching.mind_stops(RUNNER)

    assert list(Stop.objects.in_force()) == [stop]
    pause.refresh_from_db()
    assert pause.lifted_by_name == RUNNER.name


def test_who_pauses_for_longer_gets_it() -> None:
    noa, now = factories.person("noa").actor(), timezone.now()
    short = Stop.pull(PAUSE, ALL, by=noa, until=now + timedelta(minutes=5))
    assert Stop.pull(PAUSE, ALL, by=noa, until=now + timedelta(minutes=2)).until == short.until
    assert Stop.pull(PAUSE, ALL, by=noa, until=now + timedelta(minutes=9)).until == now + timedelta(minutes=9)
    assert Stop.pull(PAUSE, ALL, by=noa).until is None
    short.refresh_from_db()
    assert short.until is None
    assert events(short) == ["switch.pulled"] * 3


@pytest.mark.oversight("HO-008")
def test_the_reason_is_given_afterwards() -> None:
    stop = Stop.pull(STOP, ALL, by=factories.person("mira").actor())
    with pytest.raises(StopError):
        stop.explain("I know why", by=factories.person("kim").actor())
    with pytest.raises(StopError, match="Say why"):
        stop.explain("  ", by=factories.person("mira").actor())

    stop.explain("Mail connector removes\ntoo much\0", by=factories.person("mira").actor())
    stop.explain("It did", by=factories.person("noa").actor())

    stop.refresh_from_db()
    assert stop.reason == "It did"
    said = Event.objects.filter(subject=stop.ref, kind="switch.explained").order_by("pk")
    assert [event.after for event in said] == [
        {"reason": "Mail connector removes too much"},
        {"reason": "It did"},
    ]


def test_everybody_concerned_is_told() -> None:
    everybody = [factories.person(name) for name in factories.CAST]
    assert everybody
    pull(who="kim").lift(by=factories.actor(factories.person("noa")))

    assert told("switch.pulled") == told("switch.released") == {"noa", "mira", "aiko", "sam", "kim"}


def test_what_was_lifted_is_urgent_no_more() -> None:
    noa = factories.person("noa")
    runner = Actor.system("runner")
    first, second = (
        Stop.pull_by_itself(StopKind.PAUSE, StopScope.TYPE, kind.value, by=runner, reason="Odd")
        for kind in (ActionType.ISOLATE_DEVICE, ActionType.QUARANTINE_FILE)
    )
    urgent = Notice.objects.unread().filter(user=noa, kind="switch.pulled", severity=Severity.URGENT)
    assert urgent.count() == 2

    first.lift(by=factories.actor(noa))

    assert [notice.params for notice in urgent] == [{"stop": second.pk}]
    assert Notice.objects.unread().filter(user=noa, kind="switch.pulled").count() == 2


@pytest.mark.parametrize(("comment", "said"), [("Mail is right again", ": Mail is right again"), ("", "")])
def test_whoever_is_told_of_the_resuming_reads_what_was_written_then(comment: str, said: str) -> None:
    noa = factories.person("noa")
    stop = Stop.pull(STOP, ALL, by=noa.actor(), reason="Mail connector removes too much")
    stop.lift(by=factories.actor(noa), comment=comment)
    notice = Notice.objects.get(user=noa, kind="switch.released")
    assert notice.title == f"All execution was resumed by Noa Levi{said}"


def test_only_who_may_know_of_a_group_is_told() -> None:
    closed = factories.closed_group()
    for name in factories.CAST:
        factories.person(name)
    factories.person("mira").groups.add(Group.objects.get(name="Board members response"))

    pull(STOP, GROUP, closed.pk)

    assert told("switch.pulled") == {"noa", "mira"}


@pytest.mark.oversight("HO-006")
def test_an_open_end_is_reminded_of_daily() -> None:
    pull()
    watching.mind_stops(RUNNER)
    assert told("switch.reminder") == set()

    for day in (1, 2):
        Stop.objects.update(
            pulled_at=F("pulled_at") - timedelta(hours=25), reminded_at=F("reminded_at") - timedelta(hours=25)
        )
        watching.mind_stops(RUNNER)
        watching.mind_stops(RUNNER)
        assert Notice.objects.filter(kind="switch.reminder", user__username="noa").count() == day


@pytest.mark.oversight("HO-008")
def test_a_stop_file_becomes_a_stop_and_outlives_the_file(stop_file: Path) -> None:
    stop_file.write_text("Mail connector removes too much\n")
    assert watching.stops_waiting()
    watching.mind_stops(RUNNER)
    watching.mind_stops(RUNNER)

    stop = Stop.objects.get()
    assert (stop.scope, stop.kind, stop.source) == (ALL, STOP, StopSource.FILE)
    assert stop.reason == "Mail connector removes too much"
    with pytest.raises(StopError, match=str(stop_file)):
        stop.lift(by=factories.actor(factories.person("noa")))
    stop_file.unlink()
    watching.mind_stops(RUNNER)
    assert Stop.objects.in_force().exists()
    assert stop.lift(by=factories.actor(factories.person("noa")))


@pytest.mark.oversight("HO-008")
def test_who_wrote_the_file_stands_in_the_row_and_in_the_log(stop_file: Path) -> None:
    write_stop_file("It removes too much", by="Kim Larsen (kim)")
    watching.mind_stops(RUNNER)

    stop, said = Stop.objects.get(), "Stopped by Kim Larsen (kim) on the page: It removes too much"
    assert stop.reason == said
    assert Event.objects.get(subject=stop.ref, kind="switch.pulled").after["reason"] == said


def test_a_file_with_anything_in_it_stops(stop_file: Path) -> None:
    stop_file.write_bytes(b"\xff\x00" + b"x" * 5000)
    watching.mind_stops(RUNNER)
    assert Stop.objects.in_force().exists()
