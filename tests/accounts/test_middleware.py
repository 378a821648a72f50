"""What holds for every page: sign-in, the limits of a session, no traces in caches."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from actioncenter.accounts.middleware import ABSOLUTE, IDLE
from actioncenter.accounts.models import User
from actioncenter.audit.models import Event
from tests.accounts.people import SETUP, person

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]
HTMX = {"HX-Request": "true"}
START = "2026-03-01T08:00:00Z"


@pytest.fixture
def mira(client: Client) -> User:
    user = person()
    client.force_login(user)
    return user


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def after(clock: time_machine.Traveller, seconds: int) -> None:
    clock.shift(timedelta(seconds=seconds))


def test_page_needs_sign_in_and_leads_back(client: Client) -> None:
    assert client.get("/page?a=1&b=2")["Location"] == "/sign-in?next=/page%3Fa%3D1%26b%3D2"


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://testserver/page?a=1", "/page%3Fa%3D1"),
        ("http://evil.example/page", "/"),
        ("", "/"),
    ],
)
def test_form_leads_back_to_its_page(referer: str, back: str, client: Client) -> None:
    response = client.post("/form", headers={"Referer": referer})

    assert response["Location"] == f"/sign-in?next={back}"


def test_fragment_is_no_place_for_a_sign_in_page(client: Client) -> None:
    response = client.get(
        "/page", headers={**HTMX, "HX-Current-URL": "http://testserver/action-center/pending?q=1"}
    )

    assert (response.status_code, response.content) == (401, b"")
    assert response["HX-Redirect"] == "/sign-in?next=%2Faction-center%2Fpending%3Fq%3D1"


@pytest.mark.parametrize("current", ["http://evil.example/x", "javascript:alert(1)", "//evil.example", ""])
def test_fragment_never_leads_elsewhere(current: str, client: Client) -> None:
    response = client.get("/page", headers={**HTMX, "HX-Current-URL": current})

    assert response["HX-Redirect"] == "/sign-in?next=%2F"


def test_every_answer_has_an_id_of_ours(client: Client) -> None:
    one, other = (
        client.get("/page", headers={"X-Request-Id": "mine\nforged"})["X-Request-Id"] for _ in range(2)
    )

    assert re.fullmatch("[0-9a-f]{32}", one)
    assert one != other


def test_signed_in_page_stays_out_of_caches(client: Client, mira: User) -> None:
    assert "no-store" in client.get("/page")["Cache-Control"]


def test_sign_in_page_stays_out_of_caches(client: Client) -> None:
    assert "no-store" in client.get("/sign-in")["Cache-Control"]


@pytest.mark.parametrize("zone", ["", "Asia/Kolkata"])
def test_page_is_in_the_persons_time_zone(zone: str, client: Client, mira: User) -> None:
    User.objects.update(time_zone=zone)

    assert client.get("/page").content.decode() == f"zone {zone or 'UTC'}"


def test_deactivated_person_is_out_at_once(client: Client, mira: User) -> None:
    mira.deactivate(by=SETUP)

    assert client.get("/page").status_code == 302


def test_idle_session_ends(clock: time_machine.Traveller, client: Client, mira: User) -> None:
    client.get("/page")
    after(clock, IDLE)

    response = client.get("/page")

    assert response.status_code == 302
    assert Event.objects.get(kind="session.ended").subject == mira.ref
    clock.move_to(START)
    assert client.get("/page").status_code == 302


def test_used_session_goes_on_until_it_is_too_old(
    clock: time_machine.Traveller, client: Client, mira: User
) -> None:
    client.get("/page")
    for _ in range(ABSOLUTE // (IDLE - 60)):
        after(clock, IDLE - 60)
        assert client.get("/page").status_code == 200

    after(clock, IDLE - 60)

    assert client.get("/page").status_code == 302


@pytest.mark.parametrize(
    ("path", "headers"), [("/live/counts", {}), ("/page", {"HX-PTag": "abc"}), ("/live/counts", HTMX)]
)
def test_page_that_refreshes_itself_keeps_no_session_alive(
    path: str, headers: dict[str, str], clock: time_machine.Traveller, client: Client, mira: User
) -> None:
    client.get("/page")
    for _ in range(2):
        after(clock, IDLE // 2 - 1)
        assert client.get(path, headers=headers).status_code == 200

    after(clock, 2)

    assert client.get(path, headers=headers).status_code in {302, 401}


def test_decision_is_activity_whatever_it_carries(
    clock: time_machine.Traveller, client: Client, mira: User
) -> None:
    client.get("/page")
    for _ in range(3):
        after(clock, IDLE - 1)
        assert client.post("/form", headers={"HX-PTag": "abc"}).status_code == 200


def test_session_is_written_once_a_minute_at_most(
    clock: time_machine.Traveller, client: Client, mira: User, django_assert_num_queries: Any
) -> None:
    client.get("/page")
    after(clock, 59)

    with django_assert_num_queries(2):  # session, person
        client.get("/page")
