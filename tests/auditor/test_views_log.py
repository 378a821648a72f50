"""The log of views: who looked at what, without a page waiting for it and without what pages ask by themselves."""

import threading
from collections import deque
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.auditor import looking
from actioncenter.auditor.models import PageView
from tests import factories

pytestmark = pytest.mark.django_db
LOG = "/audit/views"


@pytest.fixture(autouse=True)
def views(monkeypatch: pytest.MonkeyPatch) -> looking.Batches[PageView]:
    """Those of this test alone."""
    fresh = looking.Batches(PageView, "views")
    monkeypatch.setattr(looking, "views", fresh)
    return fresh


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def seen(views: looking.Batches[PageView]) -> list[tuple[str, str, str]]:
    views.flush()
    return list(PageView.objects.order_by("pk").values_list("actor_name", "page", "subject"))


@pytest.mark.oversight("HO-002")
def test_pages_are_noted_with_what_they_are_about(mira: Client, views: looking.Batches[PageView]) -> None:
    action = factories.waiting_action()
    for path in (
        "/",
        f"/action-center/actions/{action.pk}",
        f"/action-center/pending?open={action.pk}",
        f"/investigations/{action.investigation_id}?tab=evidence",
        "/settings/authority.csv",
    ):
        assert mira.get(path).status_code == 200

    assert [(page, subject) for _, page, subject in seen(views)] == [
        ("home", ""),
        ("actions:detail", f"action:{action.pk}"),
        ("actions:pending", f"action:{action.pk}"),
        ("investigations:detail", f"investigation:{action.investigation_id}"),
        ("settings:authority_file", ""),
    ]
    first = PageView.objects.order_by("pk")[1]
    assert (first.actor_name, first.address) == ("Mira Chen", f"/action-center/actions/{action.pk}")
    assert first.request_id


def test_what_nobody_opened_is_no_view(mira: Client, views: looking.Batches[PageView]) -> None:
    """Polls, fragments, what was refused or not found, and what changes something."""
    action = factories.waiting_action()
    fragment = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "div#rows"}
    mira.get("/live/counts")
    mira.get("/action-center/pending", **fragment)  # type: ignore[arg-type]
    pane = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "aside#pane", "HTTP_HX_PTAG": "old"}
    mira.get(f"/action-center/actions/{action.pk}", **pane)  # type: ignore[arg-type]
    mira.get("/action-center/actions/999999")
    mira.get("/audit/events")
    mira.post("/theme", {"theme": "dark"})
    Client().get("/sign-in")

    assert seen(views) == []


def test_opening_a_row_beside_the_list_is_one(mira: Client, views: looking.Batches[PageView]) -> None:
    action = factories.waiting_action()
    pane = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "aside#pane"}
    mira.get(f"/action-center/pending?open={action.pk}", **pane)  # type: ignore[arg-type]

    assert [subject for *_, subject in seen(views)] == [f"action:{action.pk}"]


def test_what_a_decision_leads_on_to_is_one(mira: Client, views: looking.Batches[PageView]) -> None:
    """The next action comes with the answer, and nobody asks for it by itself."""
    first, second = factories.waiting_actions(2)
    form = {"comment": "Bad.", "revision": 1, "then": second.pk, "next": "/action-center/pending"}
    pane: Any = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "aside#pane"}
    answer = mira.post(f"/action-center/actions/{first.pk}/approve", form, **pane)

    assert answer.status_code == 200
    assert [(page, subject) for _, page, subject in seen(views)] == [
        ("actions:decide", f"action:{second.pk}")
    ]


def test_a_page_writes_nothing_itself(mira: Client, views: looking.Batches[PageView]) -> None:
    mira.get("/")
    with CaptureQueriesContext(connection) as caught:
        mira.get("/")

    assert not [query for query in caught.captured_queries if "pageview" in query["sql"]]
    assert len(seen(views)) == 2


def test_what_cannot_be_written_waits(
    mira: Client, views: looking.Batches[PageView], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **more: Any) -> None:
        raise DatabaseError

    mira.get("/")
    mira.get("/action-center/pending")
    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.query.QuerySet.bulk_create", away)
        with pytest.raises(DatabaseError):
            views.flush()

    assert [page for _, page, _ in seen(views)] == ["home", "actions:pending"]


def test_memory_is_bounded(views: looking.Batches[PageView]) -> None:
    waiting: deque[PageView] = views._waiting
    assert waiting.maxlen == looking.KEPT


def test_views_are_never_changed(mira: Client, views: looking.Batches[PageView]) -> None:
    mira.get("/")
    views.flush()
    with pytest.raises(DatabaseError):
        PageView.objects.update(actor_name="Somebody else")


@pytest.mark.parametrize(
    ("query", "pages"),
    [
        ("", 4), ("actor={mira}", 3), ("actor=automation", 0), ("subject=A-{action}", 2), ("pages=action", 2),
        ("pages=list", 1), ("pages=audit", 1), ("pages=file", 0), ("since=hour", 4),
        ("actor={mira}&subject=A-{action}&pages=action", 1),
    ],
)  # fmt: skip
def test_filters(mira: Client, views: looking.Batches[PageView], query: str, pages: int) -> None:
    action = factories.waiting_action()
    ivo = Client()
    ivo.force_login(factories.person("ivo"))
    mira.get("/")
    mira.get(f"/action-center/actions/{action.pk}")
    mira.get("/notices")
    ivo.get(f"/audit/actions/{action.pk}")
    views.flush()

    asked = query.format(mira=factories.person("mira").ref, action=action.pk)
    assert len(ivo.get(f"{LOG}?{asked}").context["rows"]) == pages


def test_equal_queries_for_few_and_many(client: Client, views: looking.Batches[PageView]) -> None:
    client.force_login(factories.person("ivo"))
    client.get(LOG)
    counts = []
    for more in (1, 2, 97):
        for _ in range(more):
            client.get("/notices")
        views.flush()
        with CaptureQueriesContext(connection) as caught:
            client.get(f"{LOG}?pages=settings")
        counts.append(len(caught))

    assert len(set(counts)) == 1, counts


@pytest.mark.parametrize("name", ["mira", "aiko", "kim", "nobody"])
def test_others_are_refused(client: Client, name: str) -> None:
    client.force_login(factories.person(name))
    assert client.get(LOG).status_code == 403


def test_an_empty_log_says_what_will_stand_there(client: Client) -> None:
    client.force_login(factories.person("ivo"))
    assert "Nobody has looked yet" in client.get(LOG).content.decode()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, settings: Any) -> threading.Event:
    """Set when a batch was written by a thread beside the requests."""
    settings.VIEWS_FLUSH_SECONDS = 0.01
    monkeypatch.setattr(looking, "LOOK", 0.01)
    done = threading.Event()
    flush = looking.Batches.flush

    def flushed(self: looking.Batches[PageView]) -> int:
        number = flush(self)
        if number:
            done.set()
        return number

    monkeypatch.setattr(looking.Batches, "flush", flushed)
    return done


@pytest.mark.django_db(transaction=True)
def test_a_thread_writes_them_and_once_more_at_the_end(
    client: Client, written: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Main:
        alive = True

        def is_alive(self) -> bool:
            return self.alive

    main = Main()
    monkeypatch.setattr(looking.threading, "main_thread", lambda: main)
    client.force_login(factories.person("mira"))
    client.get("/")
    assert written.wait(60)
    main.alive = False
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "views"]
    thread.join(60)

    assert not thread.is_alive()
    assert PageView.objects.count() == 1
