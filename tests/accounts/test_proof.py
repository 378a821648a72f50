"""Showing again who one is, right before something dangerous."""

import time
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils.html import escape

from actioncenter.accounts import attempts, proof
from actioncenter.accounts.forms import SignInForm
from actioncenter.accounts.models import User
from actioncenter.accounts.request import PROVED
from actioncenter.audit.actor import SKEW
from actioncenter.audit.models import Event
from tests.accounts.people import PASSWORD, person

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]
PAGE = "/confirm-identity"
FRAGMENT = {"HX-Request": "true", "HX-Target": "aside#pane"}


@pytest.fixture
def mira(client: Client) -> User:
    """Signed in without a password, as after a long while."""
    user = person()
    client.force_login(user)
    return user


def confirm(client: Client, password: str = PASSWORD, **fields: str) -> Any:
    return client.post(PAGE, {"password": password, **fields})


def proved(client: Client) -> str:
    """What the transitions would be told."""
    return client.get("/proved").content.decode()


def test_signing_in_is_a_proof_for_ten_minutes(client: Client) -> None:
    person()
    with time_machine.travel("2026-03-01T08:00:00Z", tick=False) as clock:
        client.post("/sign-in", {"username": "mira", "password": PASSWORD})
        clock.shift(proof.FRESH)
        assert proved(client) == "True"
        clock.shift(1)
        assert proved(client) == "False"


def test_a_proof_from_the_future_proves_nothing(client: Client) -> None:
    """The clock was put back, or somebody made it up: it would hold for as long as it lies ahead."""
    person()
    with time_machine.travel("2026-03-01T08:00:00Z", tick=False) as clock:
        client.post("/sign-in", {"username": "mira", "password": PASSWORD})
        clock.shift(-SKEW)
        assert proved(client) == "True"
        clock.shift(-1)
        assert proved(client) == "False"


def test_a_session_without_a_proof_proves_nothing(client: Client, mira: User) -> None:
    assert proved(client) == "False"


def test_the_right_password_is_a_proof_and_leads_back(client: Client, mira: User) -> None:
    before = client.session.session_key

    response = confirm(client, next="/page?a=1")

    assert (response.status_code, response["Location"]) == (302, "/page?a=1")
    assert proved(client) == "True"
    assert abs(client.session[PROVED] - time.time()) < 60
    assert client.session.session_key != before
    event = Event.objects.get(kind="session.proved")
    assert (event.subject, event.actor, event.request_id) == (mira.ref, mira.ref, response["X-Request-Id"])


def test_the_old_session_key_is_dead(client: Client, mira: User) -> None:
    stolen = Client()
    stolen.cookies["session"] = client.session.session_key

    confirm(client)

    assert stolen.get("/page").status_code == 302


def test_a_session_outlives_the_renewal_of_an_old_hash(client: Client, settings: Any) -> None:
    user = person()
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher", "django.contrib.auth.hashers.MD5PasswordHasher",
    ]  # fmt: skip
    client.force_login(user)

    confirm(client)

    assert User.objects.get().password.startswith("pbkdf2")
    assert client.get("/page").status_code == 200


@pytest.mark.parametrize("wrong", ["", "wrong", "\0", "x" * 4097, f" {PASSWORD}"])
def test_anything_else_proves_nothing(wrong: str, client: Client, mira: User) -> None:
    response = confirm(client, wrong, next="/page")

    assert response.status_code == 200
    assert proved(client) == "False"
    assert not Event.objects.filter(kind="session.proved").exists()


def test_the_password_of_somebody_else_proves_nothing(client: Client, mira: User) -> None:
    other = person("tom")
    other.set_password("another one")
    other.save()

    assert confirm(client, "another one").status_code == 200
    assert proved(client) == "False"


def test_a_failure_is_audited_as_a_failed_sign_in(client: Client, mira: User) -> None:
    response = confirm(client, "hunter2")

    event = Event.objects.get(kind="session.sign_in_failed")
    assert (event.subject, event.actor) == (mira.ref, mira.ref)
    assert "hunter2" not in event.canonical
    assert "hunter2" not in response.content.decode()


def test_too_many_failures_close_this_way_and_signing_in(client: Client, mira: User) -> None:
    for _ in range(attempts.LIMIT):
        assert confirm(client, "wrong").status_code == 200

    blocked = confirm(client)

    assert (blocked.status_code, blocked["Retry-After"]) == (429, "300")
    assert escape(SignInForm.error_messages["too_many"]) in blocked.content.decode()
    assert proved(client) == "False"
    assert Client().post("/sign-in", {"username": "mira", "password": PASSWORD}).status_code == 429


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example/", "http://testserver/page", "javascript:alert(1)", ""],
)
def test_it_never_leads_elsewhere(elsewhere: str, client: Client, mira: User) -> None:
    shown = client.get(PAGE, {"next": elsewhere})

    assert shown.context["next"] == "/"
    assert confirm(client, next=elsewhere)["Location"] == "/"


def test_it_is_for_people_signed_in(client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith("/sign-in")
    assert confirm(client)["Location"].startswith("/sign-in")


def test_it_needs_its_token(mira: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(mira)

    assert confirm(strict).status_code == 403


def test_a_page_is_sent_to_the_form_and_back(client: Client, mira: User) -> None:
    asked = client.post("/dangerous", headers={"Referer": "http://testserver/page?q=1"})

    assert asked["Location"] == f"{PAGE}?next=%2Fsubject"
    form = client.get(asked["Location"])
    assert "Deleting everything wants" in form.content.decode()
    assert form.context["next"] == "/subject"


@pytest.mark.parametrize(
    ("referer", "back"),
    [("http://testserver/page?q=1", "%2Fpage%3Fq%3D1"), ("http://evil.example/page", "%2F"), ("", "%2F")],
)
def test_without_a_subject_it_leads_to_the_page_before(
    referer: str, back: str, client: Client, mira: User
) -> None:
    asked = client.post("/dangerous?back=", headers={"Referer": referer})

    assert asked["Location"] == f"{PAGE}?next={back}"


@pytest.mark.parametrize("current", ["http://evil.example/page", "javascript:alert(1)", ""])
def test_a_fragment_never_leads_elsewhere(current: str, client: Client, mira: User) -> None:
    asked = client.post("/dangerous", headers={**FRAGMENT, "HX-Current-URL": current})

    assert asked.context["next"] == "/subject"


def test_a_fragment_gets_a_notice_with_a_plain_form(client: Client, mira: User) -> None:
    headers = {**FRAGMENT, "HX-Current-URL": "http://testserver/page?q=1"}
    asked = client.post("/dangerous", headers=headers)

    body = asked.content.decode()
    assert (asked.status_code, asked["Cache-Control"]) == (403, "no-store")
    assert "data-notice" in body
    assert f'method="post" action="{PAGE}"' in body
    assert 'name="next" value="/page?q=1"' in body
    assert 'type="password"' in body


def test_the_password_does_nothing_by_itself(client: Client, mira: User) -> None:
    client.post("/dangerous", headers={"Referer": "http://testserver/page"})
    response = confirm(client, next="/page")

    assert client.get("/done").content == b"0"
    assert response["Location"] == "/page"
    client.post("/dangerous")
    assert client.get("/done").content == b"1"
