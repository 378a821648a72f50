"""Signed links: nobody but us makes one, they lead only where browsers may be sent, and blocked ones nowhere."""

import base64
import hmac
import os

import pytest
from django.test import Client

from actioncenter.feeds import clicking, links
from actioncenter.feeds.enums import ClickResult
from actioncenter.feeds.models import Click
from tests import factories
from tests.feeds.acting import blocked, in_use, undone

pytestmark = pytest.mark.django_db
URL = "https://shop.example/offer?id=%2525&x=1#part"
HOSTILE = [
    *(
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "//evil.example/",
    ),
    *("/relative", "", "http://", "http:///x", "ftp://evil.example/", "file:///etc/passwd", "http://[::zz]/"),
    *(
        r"http://evil.example\@good.example/",
        "http:\\\\evil.example/",
        "http://evil.example/\r\nSet-Cookie: a=b",
    ),
    *(
        "http://evil.example/a b",
        "http://evil.example/\u202e",
        "http://evil.example/\x00",
        "https://x/" + "a" * 2048,
    ),
]


def written() -> list[tuple[str, str, int]]:
    clicking.clicks.flush()
    return list(Click.objects.order_by("pk").values_list("url", "recipient", "result"))


@pytest.fixture(autouse=True)
def _none_waiting() -> None:
    clicking.clicks.flush()
    Click.objects.all().delete()


def test_a_link_leads_on_to_exactly_what_was_signed(client: Client) -> None:
    response = client.get(links.make(URL, "bo@halden.example"))
    assert (response.status_code, response["Location"]) == (302, URL)
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer"
    assert written() == [(URL, "bo@halden.example", ClickResult.SENT_ON)]


def test_a_blocked_one_leads_nowhere_and_back_again(client: Client) -> None:
    in_use()
    action = blocked("http://shop.example/")
    response = client.get(links.make(URL, "bo@halden.example"))
    shown = response.content.decode()
    assert response.status_code == 403
    assert "This link was stopped" in shown
    assert "shop.example" in shown
    assert "/offer" not in shown
    assert 'href="https://shop' not in shown
    undone(action)
    assert client.get(links.make(URL)).status_code == 302
    assert [result for *_, result in written()] == [ClickResult.STOPPED, ClickResult.SENT_ON]


@pytest.mark.parametrize("url", HOSTILE)
def test_no_such_link_is_made(url: str) -> None:
    with pytest.raises(links.BadLink):
        links.make(url)


@pytest.mark.parametrize("url", HOSTILE[:-1])
def test_not_even_a_signed_one_leads_there(client: Client, settings: object, url: str) -> None:
    """As if an older version had signed it."""
    content = f"\n{url}".encode()
    mac = hmac.digest(settings.CLICK_KEY, links.MARK + content, "sha256")[: links.SIGNED]  # type: ignore[attr-defined]
    token = base64.urlsafe_b64encode(mac + content).rstrip(b"=").decode()
    response = client.get(f"{links.CLICK}{token}")
    assert response.status_code == 400
    assert "Location" not in response
    assert written() == []


def test_whatever_is_changed_of_a_link_it_leads_nowhere(client: Client) -> None:
    path = links.make(URL, "bo@halden.example")
    token = path.removeprefix(links.CLICK)
    changed = {token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))}
    changed |= {token[:-1], token + "A", token + "=", token[4:], "A", "!", "é", token.swapcase()}
    for each in sorted(changed):
        with pytest.raises(links.BadLink):
            links.open_(each)
    response = client.get(f"{links.CLICK}{token[:-1]}")
    assert response.status_code == 400
    assert "shop.example" not in response.content.decode()
    assert written() == []


def test_links_outlive_a_rotation_until_their_key_is_retired(client: Client, settings: object) -> None:
    path, old = links.make(URL), settings.CLICK_KEY  # type: ignore[attr-defined]
    settings.CLICK_KEY, settings.CLICK_KEY_FALLBACKS = os.urandom(32), [old]  # type: ignore[attr-defined]
    assert client.get(path).status_code == 302
    assert client.get(links.make(URL)).status_code == 302
    assert links.make(URL) != path
    settings.CLICK_KEY_FALLBACKS = []  # type: ignore[attr-defined]
    assert client.get(path).status_code == 400


def test_a_signature_of_anything_else_is_none_of_a_link(settings: object) -> None:
    content = f"\n{URL}".encode()
    mac = hmac.digest(settings.CLICK_KEY, content, "sha256")[: links.SIGNED]  # type: ignore[attr-defined]
    with pytest.raises(links.BadLink):
        links.open_(base64.urlsafe_b64encode(mac + content).rstrip(b"=").decode())


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_opening_is_all_that_can_be_done(client: Client, method: str) -> None:
    assert getattr(client, method)(links.make(URL)).status_code == 405


def test_what_a_program_says_of_itself_is_kept_as_text(client: Client) -> None:
    client.get(links.make(URL), headers={"User-Agent": "Gate\x1b[31m<script>" + "x" * 500})
    clicking.clicks.flush()
    agent = Click.objects.get().agent
    assert agent.startswith("Gate[31m<script>")
    assert len(agent) == 300


@pytest.mark.parametrize(
    ("name", "status"),
    [("noa", 200), ("ivo", 200), ("aiko", 200), ("mira", 403), ("kim", 403), ("nobody", 403)],
)
def test_who_clicked_is_not_for_everybody(client: Client, name: str, status: int) -> None:
    client.get(links.make(URL, "bo@halden.example"), headers={"User-Agent": "<script>alert(1)</script>"})
    clicking.clicks.flush()
    client.force_login(factories.person(name))
    response = client.get("/settings/feeds/clicks")
    shown = response.content.decode()
    assert response.status_code == status
    assert ("bo@halden.example" in shown) == (status == 200)
    assert "<script>alert" not in shown


def test_older_clicks_are_a_page_further(client: Client) -> None:
    for number in range(101):
        client.get(links.make(f"https://shop.example/{number}"))
    clicking.clicks.flush()
    client.force_login(factories.person("noa"))
    first = client.get("/settings/feeds/clicks").content.decode()
    assert "https://shop.example/100" in first
    assert 'shop.example/0"' not in first
    assert (
        'shop.example/0"'
        in client.get(f"/settings/feeds/clicks?before={Click.objects.all()[1].pk}").content.decode()
    )
    assert client.get("/settings/feeds/clicks?before=99999999999999999999").status_code == 200
