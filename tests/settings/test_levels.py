"""How an automation level changes: lowered at once, raised by two admins or after a delay."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, User
from actioncenter.actions import housekeeping
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel, Role, is_raise
from actioncenter.settings.models import DeviceGroup, LevelError, LevelRaise
from tests import factories

pytestmark = pytest.mark.django_db
L = AutomationLevel
SYSTEM = Actor.system("housekeeping")


@pytest.fixture
def noa() -> Actor:
    return factories.person("noa").actor(proved_at=time.time())


@pytest.fixture
def second() -> Actor:
    factories.person("mira").grant(Role.ADMIN, by=factories.SETUP)
    return factories.person("mira").actor(proved_at=time.time())


def level(group: DeviceGroup) -> AutomationLevel:
    group.refresh_from_db()
    return group.automation


def due(waiting: LevelRaise) -> None:
    LevelRaise.objects.filter(pk=waiting.pk).update(effective_at=F("requested_at") - timedelta(seconds=1))


@pytest.mark.parametrize("old", L)
@pytest.mark.parametrize("new", L)
def test_lower_at_once_and_raise_later(old: AutomationLevel, new: AutomationLevel, noa: Actor) -> None:
    group = factories.group(level=old)

    if old == new:
        with pytest.raises(LevelError):
            group.change_level(new, by=noa)
        return
    waiting = group.change_level(new, by=noa)

    assert (waiting is not None) == is_raise(old, new)
    assert level(group) == (old if waiting else new)


def test_every_admin_is_warned_of_a_raise_that_waits(noa: Actor, second: Actor) -> None:
    factories.group(level=L.SEMI_ALL).change_level(L.FULL, by=noa)
    told = Notice.objects.filter(kind="level_raise").values_list("user__username", "severity")
    assert sorted(told) == [("mira", Severity.WARNING), ("noa", Severity.WARNING)]


def test_another_admin_puts_a_raise_in_force(noa: Actor, second: Actor) -> None:
    group = factories.group(level=L.SEMI_ALL)
    waiting = group.change_level(L.FULL, by=noa)
    assert waiting is not None

    with pytest.raises(LevelError, match="another admin"):
        waiting.confirm(by=noa)
    assert level(group) == L.SEMI_ALL
    waiting.confirm(by=second)

    assert level(group) == L.FULL
    assert not group.raises.filter(ended_at=None).exists()


def test_the_delay_puts_it_in_force_too(noa: Actor) -> None:
    group = factories.group(level=L.SEMI_ALL)
    waiting = group.change_level(L.FULL, by=noa)
    assert waiting is not None
    assert waiting.effective_at - waiting.requested_at == timedelta(hours=4)

    housekeeping.raise_levels(SYSTEM)
    assert level(group) == L.SEMI_ALL
    due(waiting)
    housekeeping.raise_levels(SYSTEM)

    assert level(group) == L.FULL


def test_any_admin_cancels_it(noa: Actor, second: Actor) -> None:
    group = factories.group(level=L.SEMI_ALL)
    waiting = group.change_level(L.FULL, by=noa)
    assert waiting is not None

    waiting.cancel(by=second)
    due(waiting)
    housekeeping.raise_levels(SYSTEM)

    assert level(group) == L.SEMI_ALL
    with pytest.raises(LevelError, match="already"):
        waiting.confirm(by=second)


def leaves(person: User) -> None:
    person.deactivate(by=factories.SETUP)


def is_demoted(person: User) -> None:
    person.revoke(Role.ADMIN, by=factories.SETUP)


def runs_out(person: User) -> None:
    """The role was lent, and its time is over."""
    person.grants.filter(role=Role.ADMIN).update(ends_at=Now() - timedelta(seconds=1))


ENDS = pytest.mark.parametrize("ends", [leaves, is_demoted, runs_out])


@ENDS
@pytest.mark.parametrize("late", [False, True])
def test_a_raise_does_not_outlive_the_right_of_who_asked(
    ends: Callable[[User], None], late: bool, noa: Actor, second: Actor
) -> None:
    group = factories.group("Kiosks", level=L.SEMI_ALL)
    waiting = group.change_level(L.FULL, by=noa)
    assert waiting is not None
    ends(factories.person("noa"))
    if late:
        due(waiting)

    housekeeping.raise_levels(SYSTEM)
    why = "Noa Levi, who asked for it, is no admin any more."
    assert level(group) == L.SEMI_ALL
    assert group.pending_raise() is None
    event = Event.objects.get(kind=Kind.GROUP_RAISE_CANCELLED)
    assert (event.actor, event.detail) == (SYSTEM.ref, {"comment": why})
    assert titles(second)[-1] == f"System (housekeeping) cancelled the raise of Kiosks to Full: {why}"


@ENDS
def test_nobody_confirms_for_one_who_may_no_longer_ask(
    ends: Callable[[User], None], noa: Actor, second: Actor
) -> None:
    """One admin alone would have raised it."""
    group = factories.group(level=L.SEMI_ALL)
    waiting = group.change_level(L.FULL, by=noa)
    assert waiting is not None
    ends(factories.person("noa"))

    with pytest.raises(LevelError, match="no admin any more"):
        waiting.confirm(by=second)
    assert level(group) == L.SEMI_ALL


def test_what_another_admin_has_confirmed_stays(noa: Actor, second: Actor) -> None:
    group = factories.group(level=L.SEMI_ALL)
    waiting = group.change_level(L.FULL, by=noa)
    assert waiting is not None
    waiting.confirm(by=second)
    factories.person("noa").deactivate(by=factories.SETUP)

    housekeeping.raise_levels(SYSTEM)
    assert level(group) == L.FULL


def test_a_raise_of_an_account_that_is_gone_is_dropped(noa: Actor) -> None:
    group = factories.group(level=L.SEMI_ALL)
    group.change_level(L.FULL, by=noa)
    LevelRaise.objects.update(requested_by=None)

    housekeeping.raise_levels(SYSTEM)
    assert group.pending_raise() is None


def test_lowering_drops_a_waiting_raise(noa: Actor) -> None:
    group = factories.group(level=L.SEMI_CORE)
    group.change_level(L.FULL, by=noa)

    group.change_level(L.NONE, by=noa)

    assert group.pending_raise() is None
    assert level(group) == L.NONE


def titles(of: Actor) -> list[str]:
    return list(Notice.objects.filter(user=of.user_id).order_by("pk").values_list("title", flat=True))


def test_every_admin_is_told_of_a_raise_and_of_how_it_ended(noa: Actor, second: Actor) -> None:
    group = factories.group("Kiosks", level=L.SEMI_ALL)
    for ends in ("cancel", "confirm"):
        waiting = group.change_level(L.FULL, by=noa)
        assert waiting is not None
        getattr(waiting, ends)(by=second)

    asked = f"Noa Levi asked to raise Kiosks to Full: it takes effect at {waiting.effective_at:%b %d, %H:%M} UTC unless somebody cancels it"
    assert titles(noa) == titles(second) == [
        asked, "Mira Chen cancelled the raise of Kiosks to Full",
        asked, "Kiosks is at Full now; Noa Levi asked for it",
    ]  # fmt: skip


@pytest.mark.parametrize("role", [None, *(role for role in Role if role != Role.ADMIN)])
def test_nobody_but_an_admin_may(role: Role | None, noa: Actor) -> None:
    group = factories.group(level=L.SEMI_CORE)
    waiting = group.change_level(L.FULL, by=noa)
    assert waiting is not None
    other = factories.person("nobody")
    if role:
        other.grant(role, by=factories.SETUP)

    for change in (
        lambda: group.change_level(L.NONE, by=other.actor()),
        lambda: waiting.confirm(by=other.actor()),
        lambda: waiting.cancel(by=other.actor()),
    ):
        with pytest.raises(LevelError, match="Only an admin"):
            change()
    assert level(group) == L.SEMI_CORE


def test_a_revoked_admin_may_no_longer(noa: Actor) -> None:
    group = factories.group(level=L.FULL)
    factories.person("noa").revoke(Role.ADMIN, by=factories.SETUP)

    with pytest.raises(LevelError, match="Only an admin"):
        group.change_level(L.NONE, by=noa)


def test_a_page_that_is_out_of_date_changes_nothing(noa: Actor, second: Actor) -> None:
    group = factories.group(level=L.FULL)
    seen = group.revision
    group.change_level(L.SEMI_CORE, by=noa, revision=seen)

    with pytest.raises(LevelError) as caught:
        group.change_level(L.NONE, by=second, revision=seen)

    assert caught.value.code == "changed"
    assert level(group) == L.SEMI_CORE


def test_a_level_never_acts_back(noa: Actor) -> None:
    home = factories.group(level=L.SEMI_ALL)
    waits = factories.waiting_action(home)

    home.change_level(L.NONE, by=noa)

    waits.refresh_from_db()
    assert waits.level == L.SEMI_ALL
    assert waits.reason_code == "semi_all_malicious"


def test_each_change_leaves_an_event_with_before_and_after(noa: Actor, second: Actor) -> None:
    group = factories.group(level=L.SEMI_CORE)
    group.change_level(L.SEMI_ALL, by=noa, comment="Too many false alarms")
    first = group.change_level(L.FULL, by=noa)
    assert first is not None
    first.cancel(by=second)
    again = group.change_level(L.FULL, by=noa)
    assert again is not None
    again.confirm(by=second)

    events = Event.objects.filter(stream=f"group:{group.pk}").order_by("seq")

    assert [(e.kind, e.actor_name, (e.before or {})["level"], (e.after or {})["level"]) for e in events] == [
        (Kind.GROUP_LEVEL_LOWERED, "Noa Levi", "SEMI_CORE", "SEMI_ALL"),
        (Kind.GROUP_LEVEL_RAISE_REQUESTED, "Noa Levi", "SEMI_ALL", "FULL"),
        (Kind.GROUP_RAISE_CANCELLED, "Mira Chen", "FULL", "SEMI_ALL"),
        (Kind.GROUP_LEVEL_RAISE_REQUESTED, "Noa Levi", "SEMI_ALL", "FULL"),
        (Kind.GROUP_LEVEL_RAISED, "Mira Chen", "SEMI_ALL", "FULL"),
    ]
    first_event = events.first()
    assert first_event is not None
    assert first_event.detail == {"comment": "Too many false alarms"}


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_at_once_one_wins(noa: Actor, second: Actor) -> None:
    group = factories.group(level=L.FULL)
    seen, start, results = group.revision, threading.Barrier(2), list[str]()

    def change(wanted: AutomationLevel, by: Actor) -> None:
        start.wait()
        try:
            DeviceGroup.objects.get(pk=group.pk).change_level(wanted, by=by, revision=seen)
            results.append(wanted.name)
        except LevelError as error:
            results.append(error.code)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=change, args=arguments) for arguments in ((L.SEMI_ALL, noa), (L.NONE, second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert "changed" in results
    assert level(group).name in results
