"""`manage.py person`: people and roles from a shell, always through the model's methods."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from actioncenter.accounts.models import User
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from tests import factories

pytestmark = pytest.mark.django_db


def person(*arguments: str) -> str:
    output = StringIO()
    call_command("person", *arguments, stdout=output)
    return output.getvalue()


def kinds(user: User) -> list[str]:
    return list(Event.objects.filter(subject=user.ref).order_by("seq").values_list("kind", flat=True))


def test_added_person_can_sign_in_with_the_password_shown() -> None:
    printed = person("add", "lea", "--name", "Lea Moor", "--role", "analyst", "--role", "email-responder")

    lea = User.objects.get(username="lea")
    assert lea.check_password(printed.rstrip().rpartition(" ")[2])
    assert lea.shown_name == "Lea Moor"
    assert lea.roles == {Role.ANALYST, Role.EMAIL_RESPONDER}


def test_password_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("tidy horse battery 9\n"))

    assert "Password" not in person("add", "lea", "--password-stdin")
    assert User.objects.get(username="lea").check_password("tidy horse battery 9")


@pytest.mark.parametrize(
    ("username", "password", "message"),
    [("lea", "short", "too short"), ("two words", "", "valid username"), ("MIRA", "", "already")],
)
def test_what_makes_no_person_is_refused_with_a_reason(
    username: str, password: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.person("mira")
    monkeypatch.setattr("sys.stdin", StringIO(password + "\n"))

    with pytest.raises(CommandError, match=message):
        person("add", username, *(["--password-stdin"] if password else []))
    assert User.objects.count() == 1


@pytest.mark.parametrize("role", Role)
def test_every_role_can_be_given_and_taken(role: Role) -> None:
    factories.person("noa")
    nobody = factories.person("nobody")
    person("grant", "nobody", role.name.lower())
    assert User.objects.get(username="nobody").roles == {role}

    person("revoke", "nobody", role.name.lower())
    assert User.objects.get(username="nobody").roles == frozenset()
    assert kinds(nobody) == [Kind.USER_CREATED, Kind.ROLE_GRANTED, Kind.ROLE_REVOKED]


@pytest.mark.parametrize(
    "arguments",
    [
        ("revoke", "noa", "admin"),
        ("deactivate", "noa"),
        ("grant", "noa", "admin", "--until", "2099-01-01T00:00:00Z"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_last_admin_stays(arguments: tuple[str, ...]) -> None:
    factories.person("noa")

    with pytest.raises(CommandError, match="last admin"):
        person(*arguments)
    assert User.objects.get(username="noa").roles == {Role.ADMIN}

    person("grant", "noa", "auditor")
    person("add", "jonas", "--role", "admin")
    person(*arguments)


def test_admin_for_a_while_does_not_make_the_last_one_spare() -> None:
    factories.person("noa")
    person("add", "guest")
    person("grant", "guest", "admin", "--until", "2099-01-01T00:00:00Z")

    with pytest.raises(CommandError, match="last admin"):
        person("deactivate", "noa")


def test_deactivated_person_has_no_rights_until_let_in_again() -> None:
    factories.person("mira")
    assert "deactivated" in person("deactivate", "mira")
    assert User.objects.get(username="mira").roles == frozenset()

    person("reactivate", "mira")
    assert User.objects.get(username="mira").roles == {Role.RESPONDER}


def test_list_names_everybody() -> None:
    factories.person("mira")
    factories.person("nobody")

    assert "mira: Mira Chen, responder" in person("list")
    assert json.loads(person("list", "--json")) == [
        {"username": "mira", "name": "Mira Chen", "active": True, "roles": ["responder"]},
        {"username": "nobody", "name": "Nobody Atall", "active": True, "roles": []},
    ]


@pytest.mark.parametrize("arguments", [("grant", "ghost", "admin"), ("deactivate", "ghost")])
def test_unknown_name_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="nobody called"):
        person(*arguments)
