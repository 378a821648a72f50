"""The page of the list and its consumers, and the command that does the same."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from actioncenter.accounts.models import Answer
from actioncenter.feeds import links
from actioncenter.feeds.enums import FeedFormat
from actioncenter.feeds.models import Consumer
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Binding
from tests import factories
from tests.factories import SETUP
from tests.feeds.acting import blocked, in_use, placed

pytestmark = pytest.mark.django_db
PAGE = "/settings/feeds"


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(factories.person(name))
    factories.prove(client)
    return client


def text(response: Any) -> str:
    return str(response.content.decode())


def command(*args: str) -> dict[str, Any]:
    out = StringIO()
    call_command("feeds", *args, "--json", stdout=out)
    said: dict[str, Any] = json.loads(out.getvalue())
    return said


def test_an_admin_makes_a_consumer_and_sees_its_token_once() -> None:
    noa = client_of("noa")
    response = noa.post(f"{PAGE}/consumers", {"name": "Gateway <b>", "format": FeedFormat.RPZ})
    [token] = re.findall(r"acf_[\w-]{43}", text(response))
    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    assert Consumer.of_token(token) == Consumer.objects.get()
    shown = text(noa.get(PAGE))
    assert "acf_" not in shown
    assert "Gateway &lt;b&gt;" in shown
    assert "never pulled" in shown
    assert token not in repr(list(Answer.objects.values()))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 422),
        ({"name": "x"}, 422),
        ({"name": "x", "format": "9"}, 422),
        ({"name": "Gateway", "format": "1"}, 409),
    ],
)
def test_what_can_not_be_made_is_said(sent: dict[str, str], status: int) -> None:
    Consumer.add("Gateway", FeedFormat.URLS, by=SETUP)
    assert client_of("noa").post(f"{PAGE}/consumers", sent).status_code == status
    assert Consumer.objects.count() == 1


def test_it_asks_for_the_password() -> None:
    client = Client()
    client.force_login(factories.person("noa"))
    response = client.post(f"{PAGE}/consumers", {"name": "Gateway", "format": "1"})
    assert response["Location"].startswith("/confirm-identity")
    assert not Consumer.objects.exists()


@pytest.mark.parametrize("name", ["mira", "aiko", "ivo", "kim"])
def test_others_look_and_change_nothing(name: str) -> None:
    made, _ = Consumer.add("Gateway", FeedFormat.URLS, by=SETUP)
    client = client_of(name)
    shown = text(client.get(PAGE))
    assert "Gateway" in shown
    assert "Make a consumer" not in shown
    assert client.post(f"{PAGE}/consumers", {"name": "x", "format": "1"}).status_code == 403
    assert client.post(f"{PAGE}/consumers/{made.pk}/revoke").status_code == 403
    made.refresh_from_db()
    assert made.revoked_at is None


def test_who_has_no_role_sees_nothing() -> None:
    assert client_of("nobody").get(PAGE).status_code == 403


def test_revoked_it_is_gone_from_the_page() -> None:
    made, token = Consumer.add("Gateway", FeedFormat.URLS, by=SETUP)
    noa = client_of("noa")
    response = noa.post(f"{PAGE}/consumers/{made.pk}/revoke", follow=True)
    assert "can pull nothing any more" in text(response)
    assert Consumer.of_token(token) is None
    assert noa.post(f"{PAGE}/consumers/999999/revoke").status_code == 404


def test_as_many_statements_for_many_as_for_one() -> None:
    noa, counted = client_of("noa"), []
    noa.get(PAGE)
    in_use()
    for number in (1, 3, 20):
        for at in range(number):
            Consumer.add(f"C {number} {at}", FeedFormat.URLS, by=SETUP)
            placed(f"http://evil-{number}-{at}.example/")
        with CaptureQueriesContext(connection) as seen:
            assert noa.get(PAGE).status_code == 200
        counted.append(len(seen))
    assert len(set(counted)) == 1


def test_the_page_says_what_is_listed_and_until_when() -> None:
    in_use()
    blocked("http://evil.example/")
    blocked("http://bad.example/<script>", days=3)
    shown = text(client_of("kim").get(PAGE))
    assert "evil.example/" in shown
    assert "Host and below" in shown
    assert "until" in shown
    assert "<script>al" not in shown


# The command


@override_settings(PUBLIC_URL="https://soc.halden.example")
def test_the_command_makes_lists_and_revokes() -> None:
    made = command("add", "Resolver", "rpz")
    assert made["address"] == "https://soc.halden.example/feeds/rpz.zone"
    assert Consumer.of_token(made["token"]) is not None
    assert command("list")["consumers"] == [
        {"name": "Resolver", "format": "rpz", "pulled_version": 0, "pulled_at": None}
    ]
    assert command("revoke", "Resolver") == {"revoked": "Resolver"}
    assert command("list")["consumers"] == []
    with pytest.raises(CommandError):
        command("revoke", "Resolver")


@override_settings(PUBLIC_URL="https://soc.halden.example")
def test_the_command_signs_links() -> None:
    said = command("link", "https://shop.example/", "--recipient", "bo@halden.example")["link"]
    token = said.removeprefix("https://soc.halden.example/click/")
    assert links.open_(token).recipient == "bo@halden.example"
    with pytest.raises(CommandError):
        command("link", "javascript:alert(1)")


def test_enabled_twice_there_is_one_and_disabled_it_keeps_what_is_blocked() -> None:
    command("enable")
    command("enable")
    instance = ConnectorInstance.objects.get(kind="feeds")
    assert Binding.objects.filter(instance=instance, tenant=True).count() == 1
    blocked("http://evil.example/")
    command("disable")
    instance.refresh_from_db()
    assert not instance.enabled
    assert "evil.example/" in text(client_of("kim").get(PAGE))
    with pytest.raises(CommandError):
        command("disable")
