"""The bell, the page behind it, and the banner of what is urgent."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, User
from actioncenter.accounts.notices import notify, past_keeping, purge
from actioncenter.accounts.views.notices import LABELS, PAGE_SIZE
from actioncenter.actions.abilities import BUTTONS
from actioncenter.actions.models import Action, Vote
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.settings.models import DeviceGroup
from tests import factories

pytestmark = pytest.mark.django_db
PAGE = "/notices"
HOSTILE = "invoice\u202egpj.exe <img src=x onerror=pwn(1)> js:alert(1)"
POLL = {
    "HX-Request": "true",
    "HX-Target": "div#nav-links",
    "HX-Current-URL": "http://testserver/settings/groups",
}


@pytest.fixture
def mira(client: Client) -> User:
    user = factories.person("mira")
    client.force_login(user)
    return user


def tell(
    *users: User, title: str = "SSH is down", severity: Severity = Severity.WARNING, **more: Any
) -> None:
    notify(users, "connector.down", title=title, severity=severity, **more)


def shown(client: Client, address: str = PAGE) -> list[str]:
    return [notice["title"] for notice in client.get(address).context["notices"]]


def bell(client: Client, address: str = PAGE) -> set[str]:
    """What it says to a screen reader, on a desk and on a phone."""
    return set(re.findall(r'class="ib bell"[^>]*aria-label="([^"]*)"', client.get(address).content.decode()))


def test_newest_first_with_what_is_unread_marked(client: Client, mira: User) -> None:
    tell(mira, title="one")
    Notice.objects.all().mark_read()
    tell(mira, title="two", url="/settings/groups", params={"lines": ["What", "else"]})

    notices = client.get(PAGE).context["notices"]

    assert [(notice["title"], notice["unread"]) for notice in notices] == [("two", True), ("one", False)]
    assert [(notice["url"], notice["lines"]) for notice in notices] == [
        ("/settings/groups", ["What", "else"]), ("", []),
    ]  # fmt: skip


@pytest.mark.parametrize("severity", Severity)
def test_severity_is_a_shape_and_a_word(severity: Severity, client: Client, mira: User) -> None:
    tell(mira, severity=severity)

    row = client.get(PAGE).content.decode().partition('<ol class="told">')[2].partition("</ol>")[0]

    assert f"<span>{LABELS[severity]}</span>" in row
    assert "<svg" in row


def test_nobody_sees_or_marks_the_notices_of_others(client: Client, mira: User) -> None:
    tell(factories.person("noa"))

    assert shown(client) == []
    assert bell(client) == {"Notices"}
    assert client.post(f"{PAGE}/{Notice.objects.get().pk}/read").status_code == 404
    client.post(f"{PAGE}/read")
    assert Notice.objects.get().read_at is None


@pytest.mark.parametrize(
    "address", ["/", "/action-center/pending", "/investigations/", "/settings/groups", PAGE]
)
def test_the_bell_counts_on_every_page(address: str, client: Client, mira: User) -> None:
    tell(*[mira] * 3)

    assert client.get(address).content.decode().count('class="ib bell"') == 2
    assert bell(client, address) == {"Notices, 3 unread"}


def test_the_bell_and_the_banner_are_live(client: Client, mira: User) -> None:
    tag = client.get("/live/counts", headers=POLL)["HX-PTag"]
    tell(mira, severity=Severity.URGENT)

    poll = client.get("/live/counts", headers={**POLL, "HX-PTag": tag})

    text = poll.content.decode()
    assert poll.status_code == 200
    assert text.count("Notices, 1 unread") == 2
    assert 'hx-target="#urgent"' in text
    assert 'name="next" value="/settings/groups"' in text
    Notice.objects.all().mark_read()
    assert client.get("/live/counts", headers={**POLL, "HX-PTag": poll["HX-PTag"]}).status_code == 200


def test_a_list_that_polls_itself_hears_of_it_too(client: Client, mira: User) -> None:
    rows = {"HX-Request": "true", "HX-Target": "div#rows"}
    tag = client.get("/action-center/pending", headers=rows)["HX-PTag"]
    tell(mira)

    answer = client.get("/action-center/pending", headers={**rows, "HX-PTag": tag})

    assert b"Notices, 1 unread" in answer.content


@pytest.mark.parametrize("severity", Severity)
def test_only_what_is_urgent_has_a_banner_until_dismissed(
    severity: Severity, client: Client, mira: User
) -> None:
    tell(mira, severity=severity, url="/settings/groups")
    loud = severity is Severity.URGENT

    assert (b"strip urgent" in client.get("/").content) is loud
    client.post(f"{PAGE}/{Notice.objects.get().pk}/read", {"next": "/"})
    assert b"strip urgent" not in client.get("/").content


def test_marking_one_leads_back_to_where_it_was_marked(client: Client, mira: User) -> None:
    tell(mira, title="one")
    tell(mira, title="two")

    response = client.post(f"{PAGE}/{Notice.objects.get(title='one').pk}/read", {"next": "/settings/groups"})

    assert response["Location"] == "/settings/groups"
    assert [notice.title for notice in mira.notices.unread()] == ["two"]


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "javascript:alert(1)", ""])
def test_marking_never_leads_elsewhere(elsewhere: str, client: Client, mira: User) -> None:
    tell(mira)

    assert client.post(f"{PAGE}/read", {"next": elsewhere})["Location"] == PAGE


def test_marking_all(client: Client, mira: User) -> None:
    tell(*[mira] * 3)

    client.post(f"{PAGE}/read")

    assert not mira.notices.unread().exists()
    assert "3 notices marked as read" in client.get(PAGE).content.decode()


def test_one_severity_or_what_is_unread(client: Client, mira: User) -> None:
    for severity in Severity:
        tell(mira, title=severity.name, severity=severity)
    Notice.objects.filter(title="INFO").mark_read()

    assert [shown(client, f"{PAGE}?severity={severity.name.lower()}") for severity in Severity] == [
        [severity.name] for severity in Severity
    ]
    assert shown(client, f"{PAGE}?unread=1") == ["URGENT", "WARNING"]


@pytest.mark.parametrize(
    "query", ["severity=loud", "before=x", "before=0", "before=-1", f"before={2**63}", "unread=%00"]
)
def test_an_address_that_makes_no_sense_is_refused(query: str, client: Client, mira: User) -> None:
    assert client.get(f"{PAGE}?{query}").status_code == 400


def test_pages_follow_each_other_without_gap_or_repetition(client: Client, mira: User) -> None:
    for number in range(2 * PAGE_SIZE + 1):
        tell(mira, title=f"{number}")
    seen, address = [], f"{PAGE}?unread=1"
    while address:
        page = client.get(address)
        seen += [int(notice["title"]) for notice in page.context["notices"]]
        address = page.context["older_url"]
        if len(seen) == PAGE_SIZE:
            tell(mira, title="999")

    assert seen == list(reversed(range(2 * PAGE_SIZE + 1)))
    assert page.context["newest_url"] == f"{PAGE}?unread=1"


def test_as_many_queries_for_many_as_for_one(client: Client) -> None:
    noa = factories.person("noa")
    client.force_login(noa)
    client.get(PAGE)
    needed = []
    for number in (1, 3, 100):
        for _ in range(noa.notices.count(), number):
            tell(noa, severity=Severity.URGENT)
        Notice.objects.update(mail_tries=5, mail_error="550")
        with CaptureQueriesContext(connection) as captured:
            client.get(PAGE)
        needed.append(len(captured))

    assert len(set(needed)) == 1, needed


def test_hostile_titles_are_only_text(client: Client, mira: User) -> None:
    tell(mira, title=HOSTILE, severity=Severity.URGENT, params={"lines": [HOSTILE]}, url="/settings/groups")

    text = client.get(PAGE).content.decode()

    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert text.count("U+202E") >= 3


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example/x", "/\\evil.example", "https://evil.example"]
)
def test_a_notice_never_leads_elsewhere(url: str, client: Client, mira: User) -> None:
    tell(mira, url=url, severity=Severity.URGENT)

    assert "evil" not in (text := client.get(PAGE).content.decode())
    assert "javascript:" not in text


def test_mail_can_be_switched_off_and_on(client: Client, mira: User) -> None:
    client.post(f"{PAGE}/mail", {})
    mira.refresh_from_db()
    assert mira.notices_by_mail is False

    client.post(f"{PAGE}/mail", {"by_mail": "1"})
    mira.refresh_from_db()
    assert mira.notices_by_mail is True
    changes = Event.objects.filter(kind="user.changed", subject=mira.ref).order_by("id")
    assert [change.after for change in changes] == [{"notices_by_mail": False}, {"notices_by_mail": True}]


def test_what_was_read_long_ago_is_forgotten(mira: User) -> None:
    by = Actor.system("runner")
    for title, days in (("old", 91), ("young", 89)):
        tell(mira, title=title)
        read_at = timezone.now() - timedelta(days=days)
        Notice.objects.filter(title=title).update(read_at=read_at, created_at=read_at)
    tell(mira, title="unread")
    Notice.objects.filter(title="unread").update(created_at=timezone.now() - timedelta(days=400))

    assert past_keeping().count() == 1
    assert (purge(by=by), purge(by=by)) == (1, 0)

    assert set(Notice.objects.values_list("title", flat=True)) == {"young", "unread"}
    assert Event.objects.get(kind="retention.purged").detail == {"notices": 1}


WORDS = [*BUTTONS, "exclusion", "indicator"]


def patterns(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLPattern):
            yield f"/{before}{entry.pattern}"
        else:
            yield from patterns(entry, f"{before}{entry.pattern}")


def addresses(number: int) -> list[str]:
    """Every address of the product, for every word in it, about what has this number."""
    named = [re.sub(r"<uuid:\w+>", str(UUID(int=number)), pattern) for pattern in patterns(get_resolver())]
    numbered = [re.sub(r"<int:\w+>", str(number), pattern) for pattern in named]
    full = [re.sub(r"<(slug|str|path):\w+>", word, address) for address in numbered for word in WORDS]
    assert not any("<" in address for address in full)
    return sorted(set(full))


def everything() -> list[Any]:
    """What a decision, a change of settings or a mark would leave behind. An export is only a read, a refusal changes nothing."""
    told = Event.objects.exclude(kind__in=["export.made", "refused.access"])
    tables = [
        Action.objects.order_by("pk"),
        Notice.objects.order_by("pk"),
        DeviceGroup.objects.order_by("pk"),
    ]
    return [Vote.objects.count(), told.count(), *(list(table.values()) for table in tables)]


PREFETCH = {"Purpose": "prefetch", "Sec-Purpose": "prefetch"}
FRAGMENT = {"HX-Request": "true", "HX-Target": "aside#pane"}


@pytest.mark.oversight("HO-015")
@pytest.mark.parametrize("headers", [PREFETCH, FRAGMENT], ids=["prefetch", "fragment"])
@pytest.mark.parametrize("username", ["sam", "noa"])
def test_links_never_decide(username: str, headers: dict[str, str], client: Client) -> None:
    user = factories.person(username)
    client.force_login(user)
    action = factories.waiting_action()
    tell(user, url=f"/action-center/actions/{action.pk}")
    client.get("/")
    before, asked = everything(), 0

    for number in {action.pk, action.group_id or 0, user.notices.get().pk}:
        query = f"?comment=yes&revision=1&justified=1&next=/&idempotency_key={number}"
        for address in addresses(number):
            for method in (client.get, client.head):
                assert method(address + query, headers=headers).status_code < 500, address
                asked += 1

    assert asked >= 100
    assert everything() == before
