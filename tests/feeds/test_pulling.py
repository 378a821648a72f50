"""What consumers pull: each its own format with its own token, whole or not at all, and we know how far they are."""

import base64
import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from actioncenter.actions.models import Action
from actioncenter.audit.models import Event
from actioncenter.feeds.enums import CARRIES, FILES, FeedFormat
from actioncenter.feeds.models import Block, BlockList, Consumer, ConsumerError
from tests import factories
from tests.factories import SETUP
from tests.feeds.acting import blocked, in_use, placed, undone

pytestmark = pytest.mark.django_db
formats = pytest.mark.parametrize("format", FeedFormat, ids=lambda format: format.name.lower())
LISTED = (
    "http://evil.example/",
    "http://bad.example/kit/",
    "http://worse.example/login.html?id=1",
    "http://203.0.113.9/",
)


@pytest.fixture
def listed() -> list[Block]:
    return [placed(url) for url in LISTED]


def consumer(format: FeedFormat = FeedFormat.URLS, name: str = "Gateway") -> tuple[Consumer, str]:
    return Consumer.add(name, format, by=SETUP)


def pull(client: Client, token: str, format: FeedFormat = FeedFormat.URLS, **headers: str) -> Any:
    return client.get(f"/feeds/{FILES[format]}", headers={"Authorization": f"Bearer {token}", **headers})


def body(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def told(client: Client, format: FeedFormat) -> str:
    _, token = consumer(format, f"For {format.name}")
    return body(pull(client, token, format))


# Formats


def test_plain_text_has_everything(client: Client, listed: list[Block]) -> None:
    assert told(client, FeedFormat.URLS).splitlines() == [
        f"# version {BlockList.current()}",
        *("203.0.113.9/", "bad.example/kit/", "evil.example/", "worse.example/login.html?id=1"),
    ]


def test_domains_are_hosts_alone(client: Client, listed: list[Block]) -> None:
    assert told(client, FeedFormat.DOMAINS).splitlines()[1:] == ["evil.example"]


def test_a_zone_has_each_host_and_what_is_below_it(client: Client, listed: list[Block]) -> None:
    lines = told(client, FeedFormat.RPZ).splitlines()
    assert lines[1].split()[:5] == ["@", "SOA", "localhost.", "root.localhost.", str(BlockList.current())]
    assert lines[3:] == ["evil.example CNAME .", "*.evil.example CNAME ."]


def test_json_says_of_each_what_it_is(client: Client, listed: list[Block]) -> None:
    said = json.loads(told(client, FeedFormat.JSON))
    assert said["version"] == BlockList.current()
    assert {entry["expression"]: entry["kind"] for entry in said["entries"]} == {
        "evil.example/": "host", "bad.example/kit/": "prefix", "worse.example/login.html?id=1": "url",
        "203.0.113.9/": "address",
    }  # fmt: skip


@formats
def test_an_empty_list_is_a_list(client: Client, format: FeedFormat) -> None:
    assert told(client, format)


@formats
def test_what_others_wrote_stays_one_line_of_its_own(client: Client, format: FeedFormat) -> None:
    """Whatever a URL holds, no consumer reads it as something else."""
    for url in (
        "http://evil.example/\u2028x\u202e",
        "http://e%0avil.example/",
        'http://evil.example/"},{"',
        "http://a b.example/",
    ):
        placed(url)
    text = told(client, format)
    assert text.isascii()
    assert "evil.example CNAME" not in text
    if format is FeedFormat.JSON:
        assert len(json.loads(text)["entries"]) == 4
    elif format is FeedFormat.URLS:
        assert len(text.splitlines()) == 5
        assert all(" " not in line for line in text.splitlines()[1:])
    else:
        assert len(text.splitlines()) == (1 if format is FeedFormat.DOMAINS else 3)


# Who may


@pytest.mark.parametrize("way", ["bearer", "basic", "address"])
def test_three_ways_to_bring_a_token(client: Client, way: str) -> None:
    _, token = consumer()
    basic = base64.b64encode(f"anybody:{token}".encode()).decode()
    response = {
        "bearer": lambda: client.get("/feeds/urls.txt", headers={"Authorization": f"Bearer {token}"}),
        "basic": lambda: client.get("/feeds/urls.txt", headers={"Authorization": f"Basic {basic}"}),
        "address": lambda: client.get(f"/feeds/{token}/urls.txt"),
    }[way]()
    assert response.status_code == 200
    assert body(response).startswith("# version 0")


@pytest.mark.parametrize(
    "said",
    ["", "Bearer", "Bearer x", "Bearer acf_", "Basic", "Basic !!", "Basic YQ==", "Digest x", "Bearer \x00"],
)
def test_without_a_token_there_is_nothing(client: Client, said: str) -> None:
    consumer()
    response = client.get("/feeds/urls.txt", headers={"Authorization": said} if said else {})
    assert response.status_code == 401
    assert "Basic" in response["WWW-Authenticate"]


def test_a_session_is_no_token(client: Client) -> None:
    client.force_login(factories.person("noa"))
    assert client.get("/feeds/urls.txt").status_code == 401


@formats
def test_a_token_is_good_for_its_format_alone(client: Client, format: FeedFormat) -> None:
    _, token = consumer(format)
    for other in FeedFormat:
        assert pull(client, token, other).status_code == (200 if other is format else 403)
    assert client.get(f"/feeds/{token}/nothing.txt").status_code == 403


def test_a_revoked_one_opens_nothing(client: Client) -> None:
    made, token = consumer()
    assert pull(client, token).status_code == 200
    assert made.revoke(by=SETUP)
    assert not made.revoke(by=SETUP)
    assert pull(client, token).status_code == 401
    kinds = Event.objects.filter(subject=made.ref).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["token.created", "token.revoked"]


def test_its_token_stands_nowhere(client: Client) -> None:
    made, token = consumer()
    body(pull(client, token))
    kept = repr(list(Consumer.objects.values())) + repr(list(Event.objects.values()))
    assert token not in kept
    assert token[4:20] not in kept
    assert made.digest in kept


def test_names_are_given_once_and_again_after_a_revocation() -> None:
    made, _ = consumer()
    with pytest.raises(ConsumerError):
        consumer(name="gateway")
    made.revoke(by=SETUP)
    consumer()


@pytest.mark.parametrize("name", ["mira", "aiko", "ivo", "kim"])
def test_only_an_admin_makes_one(name: str) -> None:
    with pytest.raises(ConsumerError) as refused:
        Consumer.add("Gateway", FeedFormat.URLS, by=factories.actor(factories.person(name)))
    assert refused.value.code == "role"


def test_and_only_one_who_has_just_given_the_password() -> None:
    with pytest.raises(ConsumerError) as refused:
        Consumer.add("Gateway", FeedFormat.URLS, by=factories.person("noa").actor())
    assert refused.value.code == "reauthenticate"


# What they have


def test_what_is_unchanged_is_not_sent_again(client: Client, listed: list[Block]) -> None:
    made, token = consumer()
    first = pull(client, token)
    body(first)
    again = pull(client, token, **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    weak = pull(client, token, **{"If-None-Match": f'"x", W/{first["ETag"]}'})
    assert weak.status_code == 304
    listed[0].release(ref="test", by=SETUP)
    changed = pull(client, token, **{"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert "\nevil.example/\n" not in body(changed)
    made.refresh_from_db()
    assert made.pulled_version == BlockList.current()


def test_what_was_not_taken_to_its_end_is_not_pulled(client: Client, listed: list[Block]) -> None:
    made, token = consumer()
    response: Any = pull(client, token)
    next(iter(response.streaming_content))
    made.refresh_from_db()
    assert (made.pulled_at, made.pulled_version) == (None, 0)
    response.close()


def test_a_look_at_the_head_is_no_pull(client: Client, listed: list[Block]) -> None:
    made, token = consumer()
    response: HttpResponse = client.head("/feeds/urls.txt", headers={"Authorization": f"Bearer {token}"})
    assert response["ETag"]
    made.refresh_from_db()
    assert made.pulled_at is None


def test_a_slower_pull_takes_nothing_back(listed: list[Block]) -> None:
    made, _ = consumer()
    made.took(9, address="192.0.2.1")
    made.took(7, address="192.0.2.1")
    made.refresh_from_db()
    assert made.pulled_version == 9


def pane(client: Client, action: Action) -> str:
    client.force_login(factories.person("aiko"))
    return client.get(f"/action-center/actions/{action.pk}").content.decode()


def test_an_action_says_how_many_have_it(client: Client) -> None:
    in_use()
    host, prefix = blocked(LISTED[0]), blocked(LISTED[1])
    assert "Nobody pulls the block list" in pane(client, host)
    _, gateway = consumer()
    _, resolver = consumer(FeedFormat.RPZ, "Resolver")
    assert "Not yet pulled by any of 2 consumers" in pane(client, host)
    body(pull(client, gateway))
    assert "Pulled by 1 of 2 consumers." in pane(client, host)
    assert "Pulled by 1 of 1 consumer. 1 other takes host names alone" in pane(client, prefix)
    body(pull(client, resolver, FeedFormat.RPZ))
    assert "Pulled by 2 of 2 consumers." in pane(client, host)
    inverse = undone(host)
    assert "Not yet pulled by any of 2 consumers." in pane(client, inverse)
    body(pull(client, gateway))
    assert "Pulled by 1 of 2 consumers." in pane(client, inverse)


def test_the_page_of_a_block_follows_who_pulls_it(client: Client) -> None:
    in_use()
    host = blocked(LISTED[0])
    _, token = consumer()

    def shown() -> Any:
        client.force_login(factories.person("aiko"))
        return client.get(f"/action-center/actions/{host.pk}").context["action"]

    before = shown()
    assert (before["live"], shown()["ptag"]) == (True, before["ptag"])
    body(pull(client, token))
    after = shown()
    assert not after["live"], "there is nothing left to come"
    assert after["ptag"] != before["ptag"]


@formats
def test_each_format_is_counted_for_what_it_carries(
    client: Client, listed: list[Block], format: FeedFormat
) -> None:
    text = told(client, format)
    for block in Block.objects.all():
        host = block.expression.partition("/")[0]
        assert (host in text) == (block.kind in CARRIES[format])


def test_a_pull_changes_nothing_but_its_own_row(client: Client, listed: list[Block]) -> None:
    made, token = consumer()
    before = list(Block.objects.values()), Event.objects.count(), timezone.now()
    body(pull(client, token))
    made.refresh_from_db()
    assert (list(Block.objects.values()), Event.objects.count()) == before[:2]
    assert made.pulled_at is not None
    assert made.pulled_from == "127.0.0.1"
