"""Signing in and out."""

from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client, RequestFactory
from django.utils.html import escape

from actioncenter.accounts import attempts, context
from actioncenter.accounts.enums import Theme
from actioncenter.accounts.forms import SignInForm
from actioncenter.accounts.models import User
from actioncenter.audit.models import Event
from tests.accounts.people import PASSWORD, SETUP, person

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]


def sign_in(client: Client, username: str = "mira", password: str = PASSWORD, **fields: str) -> Any:
    return client.post("/sign-in", {"username": username, "password": password, **fields})


def kinds() -> list[str]:
    return list(
        Event.objects.filter(kind__startswith="session.").order_by("id").values_list("kind", flat=True)
    )


def test_right_password_signs_in(client: Client) -> None:
    user = person()

    response = sign_in(client, next="/page")

    assert (response.status_code, response["Location"]) == (302, "/page")
    event = Event.objects.get(kind="session.signed_in")
    assert (event.stream, event.actor_via, event.detail) == (user.ref, "session", {"address": "127.0.0.1"})
    assert event.request_id == response["X-Request-Id"]
    assert client.get("/page").status_code == 200


def test_session_is_a_new_one(client: Client) -> None:
    person()
    session = client.session
    session["planted"] = "yes"
    session.save()
    planted = session.session_key

    sign_in(client)

    assert client.session.session_key != planted


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/page", "javascript:alert(1)", "", "\\\\evil"]
)
def test_sign_in_never_leads_elsewhere(wanted: str, client: Client) -> None:
    person()

    assert sign_in(client, next=wanted)["Location"] == "/"


def test_failure_says_the_same_whatever_was_wrong(client: Client) -> None:
    person("mira")
    person("gone").deactivate(by=SETUP)

    answers = [
        (response.status_code, response.context["form"].non_field_errors())
        for response in (
            sign_in(client, "mira", "wrong"),
            sign_in(client, "gone", PASSWORD),
            sign_in(client, "nobody", "wrong"),
        )
    ]

    assert answers == [(200, ["That name and password don't match."])] * 3
    assert kinds() == ["session.sign_in_failed"] * 3
    assert SESSION_KEY not in client.session


def test_failure_names_the_account_but_never_what_was_typed_for_one(client: Client) -> None:
    user = person("mira")

    sign_in(client, "mira", "hunter2")
    sign_in(client, "my secret pass phrase", "hunter2")

    events = Event.objects.filter(kind="session.sign_in_failed").order_by("id")
    assert [event.subject for event in events] == [user.ref, "user:unknown"]
    assert not any("secret" in event.canonical or "hunter2" in event.canonical for event in events)


def test_too_many_failures_lock_the_name_for_this_address(client: Client) -> None:
    person("mira")
    person("tom")
    for _ in range(attempts.LIMIT):
        assert sign_in(client, "mira", "wrong").status_code == 200

    blocked = sign_in(client, "Mira", PASSWORD)

    assert (blocked.status_code, blocked["Retry-After"]) == (429, "300")
    assert escape(SignInForm.error_messages["too_many"]) in blocked.content.decode()
    assert sign_in(Client(REMOTE_ADDR="10.0.0.9"), "mira").status_code == 302
    assert sign_in(client, "tom").status_code == 302


def test_lock_opens_after_a_while(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    person()
    for _ in range(attempts.LIMIT):
        sign_in(client, password="wrong")
    monkeypatch.setattr(attempts, "WINDOW", attempts.WINDOW * 0)

    assert sign_in(client).status_code == 302


@pytest.mark.parametrize(
    "name",
    [
        "",
        "\0",
        "mira\0",
        "x" * 100_000,
        "\u202emira",
        "' OR 1=1 --",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin1"),
    ],
)
def test_odd_names_are_only_wrong(name: str, client: Client) -> None:
    assert sign_in(client, name).status_code == 200


def test_sign_in_page_is_for_those_outside(client: Client) -> None:
    assert client.get("/sign-in").status_code == 200
    client.force_login(person())

    assert client.get("/sign-in?next=/page")["Location"] == "/page"


def test_sign_in_needs_its_token() -> None:
    person()

    assert sign_in(Client(enforce_csrf_checks=True)).status_code == 403


def test_signing_out(client: Client) -> None:
    client.force_login(person())

    response = client.post("/sign-out")

    assert response["Location"] == "/sign-in"
    assert kinds() == ["session.signed_out"]
    assert client.get("/page").status_code == 302


@pytest.mark.parametrize("path", ["/sign-out", "/theme"])
def test_links_change_nothing(path: str, client: Client) -> None:
    client.force_login(person())

    assert client.get(path).status_code == 405


def test_signing_out_twice_is_no_error(client: Client) -> None:
    assert client.post("/sign-out").status_code == 302
    assert kinds() == []


@pytest.mark.parametrize("theme", Theme)
def test_theme_is_remembered(theme: Theme, client: Client) -> None:
    client.force_login(person())
    name = theme.name.lower()

    response = client.post("/theme", {"theme": name, "next": "/page"})

    assert response["Location"] == "/page"
    assert User.objects.get().theme == theme
    client.post("/sign-out")
    shown = client.get("/sign-in").context
    assert (shown["theme"], shown["theme_choice"]) == ("" if theme is Theme.SYSTEM else name, name)


def test_theme_of_the_account_wins_over_the_browsers(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.COOKIES["theme"] = "light"
    request.user = User(theme=Theme.DARK)

    assert context.theme(request)["theme"] == "dark"


@pytest.mark.parametrize("sent", [{}, {"theme": "pink"}, {"theme": "\0"}])
def test_unknown_theme_is_refused(sent: dict[str, str], client: Client) -> None:
    assert client.post("/theme", sent).status_code == 400


def test_forged_theme_cookie_is_ignored(client: Client) -> None:
    client.cookies["theme"] = "pink"

    assert client.get("/sign-in").context["theme"] == ""


def test_theme_by_htmx_reloads_the_page(client: Client) -> None:
    response = client.post("/theme", {"theme": "dark"}, headers={"HX-Request": "true"})

    assert (response.status_code, response["HX-Refresh"]) == (200, "true")
