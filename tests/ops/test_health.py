"""The health page and the figures for Prometheus."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from actioncenter.actions.models import Action
from actioncenter.audit import roles
from actioncenter.audit.anchor import Anchor
from actioncenter.ops import metrics
from actioncenter.settings import anchoring, describing
from actioncenter.settings.models import Installation, Stop
from actioncenter.settings.models.restoring import hold
from tests import factories
from tests.actions.conftest import RUNNER, estate
from tests.settings.proving import proved

__all__ = ["estate"]
pytestmark = pytest.mark.django_db
TOKEN = "a-token-for-scraping"
PAGE, ACCEPT = "/settings/health", "/settings/health/accept-restored"


def signed_in(client: Client, name: str) -> Client:
    client.force_login(factories.person(name))
    return client


@pytest.mark.parametrize(
    ("name", "status"), [("noa", 200), ("ivo", 200), ("mira", 403), ("kim", 403), ("nobody", 403)]
)
def test_who_sees_it(client: Client, name: str, status: int) -> None:
    describing.describe("web", by=RUNNER)
    answer = signed_in(client, name).get(PAGE)
    assert answer.status_code == status
    if status == 200:
        assert "No runner is working" in answer.content.decode()


@pytest.mark.parametrize(("name", "told"), [("noa", True), ("ivo", True), ("mira", False), ("kim", False)])
def test_one_role_for_everything_stands_above_every_page(
    client: Client, name: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For those who can read on the health page what it means."""
    signed_in(client, name)
    for page in ("/", "/action-center/pending", "/action-center/history"):
        assert "One database role" not in client.get(page).content.decode()
    monkeypatch.setattr(roles, "is_single", lambda: True)
    for page in ("/", "/action-center/pending", "/action-center/history"):
        assert ("One database role for everything" in client.get(page).content.decode()) is told


def test_an_admin_accepts_on_the_page(client: Client) -> None:
    hold("Event <b>7</b> is missing", host="h\u202e1", anchor=Anchor(epoch=1, event=7), by=RUNNER)
    noa = signed_in(client, "noa")
    page = noa.get(PAGE).content.decode()
    assert "Event &lt;b&gt;7&lt;/b&gt; is missing" in page
    assert "\u202e" not in page
    assert "database was restored" in noa.get("/").content.decode(), "the banner"
    assert noa.post(ACCEPT, {"comment": "Looked"}).status_code == 302
    assert Installation.current().held_at, "the password is asked for first"
    proved(noa)
    assert noa.post(ACCEPT, {"comment": " "}).status_code == 422
    assert noa.post(ACCEPT, {"comment": "Looked"}).status_code == 302
    assert Installation.current().held_at is None
    assert not Stop.objects.in_force().exists()
    assert noa.post(ACCEPT, {"comment": "Looked"}).status_code == 409
    assert proved(signed_in(Client(), "ivo")).post(ACCEPT, {"comment": "Looked"}).status_code == 403


@pytest.mark.parametrize(
    ("configured", "sent", "status"),
    [
        ("", "", 404),
        ("", "Bearer ", 404),
        (TOKEN, "", 403),
        (TOKEN, f"Bearer {TOKEN}x", 403),
        (TOKEN, f"bearer {TOKEN}", 403),
        (TOKEN, "Bearer ümlaut", 403),
        (TOKEN, f"Bearer {TOKEN}", 200),
    ],
)
def test_figures_need_the_token(
    client: Client, settings: Settings, configured: str, sent: str, status: int
) -> None:
    settings.METRICS_TOKEN = configured
    assert client.get("/metrics", headers={"Authorization": sent} if sent else {}).status_code == status


def figures() -> dict[str, float]:
    text = metrics.exposition().decode()
    return {
        sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_are_what_the_database_says() -> None:
    waiting, queued, ended, *_ = factories.waiting_actions(4)
    mira = factories.person("mira").actor()
    queued.approve(by=mira)
    ended.reject(by=mira, comment="No")
    Action.objects.filter(pk=queued.pk).update(queued_at=Now() - timedelta(seconds=90))
    hold("Event 7 is missing", host="h", anchor=Anchor(epoch=1), by=RUNNER)
    told = figures()
    assert told["actioncenter_actions,pending,none"] == 2
    assert told["actioncenter_actions,approved,queued"] == 1
    assert told["actioncenter_actions_ended_day,rejected,none"] == 1
    assert told["actioncenter_pending"] == 2
    assert 90 <= told["actioncenter_oldest_queued_seconds"] < 600
    assert told["actioncenter_action_number_total"] == max(
        waiting.pk, *Action.objects.values_list("pk", flat=True)
    )
    assert (told["actioncenter_restore_held"], told["actioncenter_stops"]) == (1, 1)
    assert told["actioncenter_runners"] == 0


@pytest.mark.parametrize("show", ["page", "figures"])
def test_as_many_statements_for_many_rows(show: str, client: Client) -> None:
    noa = signed_in(client, "noa")
    describing.describe("web", by=RUNNER)
    anchoring.examine()

    def statements() -> int:
        with CaptureQueriesContext(connection) as caught:
            noa.get(PAGE) if show == "page" else metrics.exposition()
        return len(caught)

    factories.waiting_action().approve(by=factories.person("mira").actor())
    statements()
    few = statements()
    for action in factories.waiting_actions(20)[:10]:
        action.approve(by=factories.person("mira").actor())
    assert statements() == few
    assert few < 60
