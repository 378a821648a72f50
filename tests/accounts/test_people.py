"""People, their roles, and who gave them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from actioncenter.accounts.enums import Theme
from actioncenter.accounts.models import RoleGrant, User
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from tests.accounts.people import SETUP, person

pytestmark = pytest.mark.django_db
SOON = datetime.now(UTC) + timedelta(days=1)
PAST = datetime.now(UTC) - timedelta(days=1)


def kinds(user: User) -> list[str]:
    return list(Event.objects.filter(stream=user.ref).order_by("seq").values_list("kind", flat=True))


def test_enrolled_person_holds_their_roles_and_the_log_says_so() -> None:
    user = person("mira", Role.RESPONDER, Role.EMAIL_RESPONDER)

    assert user.roles == {Role.RESPONDER, Role.EMAIL_RESPONDER}
    assert kinds(user) == ["user.created", "role.granted", "role.granted"]


def test_password_stays_out_of_the_log() -> None:
    user = person()

    assert all(user.password not in text for text in Event.objects.values_list("canonical", flat=True))
    assert all("horse" not in text for text in Event.objects.values_list("canonical", flat=True))


@pytest.mark.parametrize("role", Role)
def test_role_can_be_granted_and_revoked(role: Role) -> None:
    user = person()
    assert not user.has_role(role)

    user.grant(role, by=SETUP)
    assert user.has_role(role)
    assert User.objects.get(pk=user.pk).roles == {role}

    user.revoke(role, by=SETUP)
    assert not user.has_role(role)
    assert kinds(user) == ["user.created", "role.granted", "role.revoked"]


def test_any_of_several_roles_will_do() -> None:
    user = person("mira", Role.ANALYST)

    assert user.has_role(Role.ADMIN, Role.ANALYST)
    assert not user.has_role(Role.ADMIN, Role.AUDITOR)
    assert not user.has_role()


def test_grant_remembers_who_gave_it_after_they_are_gone() -> None:
    admin, user = person("ada", Role.ADMIN), person("tom")
    user.grant(Role.ANALYST, by=admin.actor())

    admin.delete()

    grant = user.grants.get()
    assert (grant.granted_by, grant.granted_by_name) == (None, "Mira Chen")
    assert grant.granted_at is not None


@pytest.mark.parametrize(
    "change",
    [lambda user: user.grant(Role.ADMIN, by=SETUP), lambda user: user.revoke(Role.ANALYST, by=SETUP)],
)
def test_what_is_so_already_leaves_no_event(change: Callable[[User], None]) -> None:
    user = person("mira", Role.ADMIN)
    before = kinds(user)

    change(user)

    assert kinds(user) == before


def test_role_ends_by_itself() -> None:
    user = person()

    user.grant(Role.ADMIN, by=SETUP, ends_at=PAST)
    assert not user.has_role(Role.ADMIN)

    user.grant(Role.ADMIN, by=SETUP, ends_at=SOON)
    assert user.has_role(Role.ADMIN)
    assert Event.objects.filter(stream=user.ref).latest("seq").detail == {
        "role": "admin",
        "ends_at": SOON.isoformat(),
    }


def test_deactivated_person_has_no_rights_until_they_are_back() -> None:
    user = person("mira", Role.ADMIN)

    user.deactivate(by=SETUP)
    assert user.roles == frozenset()
    assert RoleGrant.objects.held_by(user.pk) == frozenset()

    user.reactivate(by=SETUP)
    assert user.has_role(Role.ADMIN)
    assert kinds(user)[-2:] == ["user.deactivated", "user.reactivated"]


@pytest.mark.parametrize(
    "change",
    [
        lambda user: user.grant(Role.ADMIN, by=SETUP),
        lambda user: user.revoke(Role.ANALYST, by=SETUP),
        lambda user: user.deactivate(by=SETUP),
        lambda user: person("tom", Role.ADMIN),
    ],
)
def test_change_without_its_event_does_not_happen(
    change: Callable[[User], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = person("mira", Role.ANALYST)

    def broken(*args: Any, **kwargs: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(log, "record", broken)
    with pytest.raises(OSError, match="full"):
        change(user)

    assert RoleGrant.objects.held_by(user.pk) == {Role.ANALYST}
    assert User.objects.get().is_active


def test_roles_are_read_once() -> None:
    user = User.objects.get(pk=person("mira", Role.ADMIN).pk)

    with CaptureQueriesContext(connection) as queries:
        assert user.has_role(Role.ADMIN)
        assert not user.has_role(Role.ANALYST)

    assert len(queries) == 1


def test_role_cannot_be_held_twice_or_be_unknown() -> None:
    user = person("mira", Role.ADMIN)

    for role in (Role.ADMIN.value, 99):
        with pytest.raises(IntegrityError), transaction.atomic():
            RoleGrant.objects.create(user=user, role=role)


def test_actor_of_a_person() -> None:
    user = person()

    assert user.actor(request_id="r") == Actor(f"user:{user.pk}", "Mira Chen", Via.SESSION, "r", user.pk)


@pytest.mark.parametrize("via", Via)
def test_only_a_person_in_a_session_counts_as_one(via: Via) -> None:
    assert person().actor(via).is_person == (via is Via.SESSION)


@pytest.mark.parametrize("machine", [Actor.automation(), Actor.system("runner"), Actor.command("ingest")])
def test_machine_is_no_person(machine: Actor) -> None:
    assert not machine.is_person
    assert machine.user_id is None


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("Mira Chen", "MC"),
        ("Mira van der Chen", "MC"),
        ("mira.chen", "MC"),
        ("mira", "M"),
        ("ölga Ärger", "ÖÄ"),
        ("李 明", "李明"),
        ("(ops) team", "T"),
        ("...", "?"),
        ("", "M"),
    ],
)
def test_initials(name: str, initials: str) -> None:
    assert User(username="mira", display_name=name).initials == initials


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Mars/Base", "UTC"),
        ("../etc/passwd", "UTC"),
        ("\0", "UTC"),
    ],
)
def test_unknown_time_zone_shows_utc(stored: str, shown: str) -> None:
    assert str(User(time_zone=stored).zone) == shown


def test_theme_is_the_systems_unless_chosen() -> None:
    assert person().theme == Theme.SYSTEM


def test_people_have_groups() -> None:
    user, night_shift = person(), Group.objects.create(name="Night shift")

    user.groups.add(night_shift)

    assert list(night_shift.user_set.all()) == [user]


def test_kinds_are_dotted_and_unique() -> None:
    values = [kind.value for kind in Kind]

    assert all(value.count(".") == 1 for value in values)
    assert len(values) == len(set(values))
