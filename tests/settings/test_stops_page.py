"""Stopping from any page in one click, and what everybody sees of it."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution import watching
from actioncenter.actions.models import RunnerBeat
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role
from actioncenter.settings.models import Stop
from tests import factories
from tests.settings.proving import proved
from tests.settings.stopping import ALL, GROUP, INVESTIGATION, PAUSE, STOP, TYPE, pull, stop_file

__all__ = ["stop_file"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stop_file")]
PAGE = "/settings/stops"
PULL = "/settings/stops/pull"
PAGES = [
    "/",
    "/action-center/pending",
    "/action-center/history",
    "/investigations/",
    "/settings/groups",
    PAGE,
]
HOSTILE = "<script>alert(1)</script>\u202e"


def signed_in(name: str) -> Client:
    """Somebody who has just given the password."""
    client = Client()
    client.force_login(factories.person(name))
    factories.prove(client)
    return client


@pytest.fixture
def noa() -> Client:
    return signed_in("noa")


@pytest.fixture
def kim() -> Client:
    return signed_in("kim")


def text(client: Client, address: str = PAGE) -> str:
    return client.get(address).content.decode()


@pytest.mark.oversight("HO-002")
@pytest.mark.parametrize("address", PAGES)
def test_every_page_stops_in_one_click(kim: Client, address: str) -> None:
    before = text(kim, address)
    assert before.count(f'action="{PULL}"') >= 2, "in the navigation and in the header of a phone"
    assert "hx-confirm" not in before

    assert kim.post(PULL).status_code == 302

    stop = Stop.objects.in_force().get()
    assert (stop.kind, stop.scope, stop.pulled_by_name, stop.reason) == (STOP, ALL, "Kim Larsen", "")
    after = text(kim, address)
    assert "All execution is stopped" in after
    assert "Execution stopped" in after


@pytest.mark.oversight("HO-009")
def test_an_auditor_sees_and_does_not_stop() -> None:
    pull()
    ivo = signed_in("ivo")
    page = text(ivo)
    assert "All execution is stopped" in page
    assert "<form" not in page.partition("<main")[2].partition("<template")[0]
    assert ivo.post(PULL, {"what": f"type:{ActionType.ISOLATE_DEVICE.value}"}).status_code == 403
    assert Stop.objects.count() == 1


@pytest.mark.oversight("HO-009")
def test_resume_moves_with_shift(noa: Client) -> None:
    """The right to resume is read at the very request: whoever held it before gets a 403."""
    stop = pull()
    factories.person("mira").grant(Role.ADMIN, by=factories.SETUP)
    factories.person("noa").grant(Role.ANALYST, by=factories.SETUP)
    factories.person("noa").revoke(Role.ADMIN, by=factories.SETUP)

    assert noa.post(f"{PAGE}/{stop.pk}/resume").status_code == 403
    assert Stop.objects.in_force().exists()
    assert signed_in("mira").post(f"{PAGE}/{stop.pk}/resume", {"comment": "Found it"}).status_code == 302
    assert not Stop.objects.in_force().exists()


@pytest.mark.oversight("HO-009")
def test_resuming_asks_for_the_password_first(noa: Client) -> None:
    stop, address = pull(), f"{PAGE}/{{}}/resume"
    form = {"idempotency_key": "k" * 32, "comment": "Found it"}
    proved(noa, seconds_ago=601)
    asked = noa.post(address.format(stop.pk), form)
    assert asked["Location"] == f"/confirm-identity?{urlencode({'next': PAGE})}"
    assert Stop.objects.in_force().exists()

    back = noa.post(asked["Location"], {"password": factories.PASSWORD, "next": PAGE})
    assert back["Location"] == PAGE
    assert noa.post(address.format(stop.pk), form)["Location"] == PAGE
    assert not Stop.objects.in_force().exists()


@pytest.mark.parametrize("who", ["mira", "aiko", "sam", "kim", "ivo", "nobody"])
def test_only_an_admin_resumes(who: str) -> None:
    stop = pull()
    assert signed_in(who).post(f"{PAGE}/{stop.pk}/resume").status_code in {403, 404}
    assert Stop.objects.in_force().exists()


@pytest.mark.parametrize("verb", ["resume", "explain"])
def test_a_form_sent_twice_is_done_and_answered_once(noa: Client, verb: str) -> None:
    stop = pull()
    form = {"idempotency_key": "k" * 32, "comment": "Found it", "reason": "Found it"}
    first, second = (noa.post(f"{PAGE}/{stop.pk}/{verb}", form) for _ in range(2))
    assert (first.status_code, first["Location"]) == (second.status_code, second["Location"]) == (302, PAGE)


def test_a_page_out_of_the_browsers_memory_stops_again(noa: Client) -> None:
    form = {"idempotency_key": "k" * 32}
    noa.post(PULL, form)
    noa.post(f"{PAGE}/{Stop.objects.get().pk}/resume")
    noa.post(PULL, form)
    assert Stop.objects.in_force().exists()


@pytest.mark.oversight("HO-006")
def test_every_scope_can_be_chosen(noa: Client) -> None:
    group, case = factories.group("Kiosks"), factories.investigation()
    action = factories.waiting_action(group)
    connector = action.targets.get().instance_id
    page = text(noa)
    for value in [
        f"group:{group.pk}",
        f"connector:{connector}",
        f"type:{action.type}",
        "investigation",
        "all",
    ]:
        assert f'value="{value}"' in page
        form = {
            "kind": "pause",
            "what": value,
            "investigation": str(case.pk),
            "minutes": "30",
            "reason": "Window",
        }
        assert noa.post(PULL, form).status_code == 302

    assert set(Stop.objects.values_list("scope", "value")) == {
        (ALL, None), (GROUP, group.pk), (TYPE, action.type), (INVESTIGATION, case.pk), (2, connector),
    }  # fmt: skip
    assert all(stop.is_pause and stop.until > timezone.now() for stop in Stop.objects.all() if stop.until)
    assert "5 stops are in force" in text(noa, "/")


@pytest.mark.parametrize(
    "form",
    [
        {"what": "everything"},
        {"what": "group:"},
        {"what": "group:-1"},
        {"what": "all:3"},
        {"what": "investigation"},
        {"kind": "stop", "minutes": "5"},
        {"kind": "pause", "minutes": "0"},
        {"kind": "nonsense"},
    ],
    ids=str,
)
def test_nonsense_is_refused(noa: Client, form: dict[str, str]) -> None:
    assert noa.post(PULL, form).status_code == 422
    assert not Stop.objects.exists()


@pytest.mark.parametrize("what", ["group:987654", "connector:987654", "type:987654", "investigation"])
def test_what_is_not_there_is_not_found(noa: Client, what: str) -> None:
    assert noa.post(PULL, {"what": what, "investigation": "987654"}).status_code == 404


def test_what_a_person_may_not_see_cannot_be_stopped_or_read_of(noa: Client, kim: Client) -> None:
    closed = factories.closed_group()
    assert kim.post(PULL, {"what": f"group:{closed.pk}"}).status_code == 404
    assert "Board members" not in text(kim)

    stop = pull(STOP, GROUP, closed.pk)

    assert "Board members is stopped" in text(noa, "/").replace("<bdi>", "").replace("</bdi>", "")
    for address in PAGES:
        assert "Board members" not in kim.get(address).content.decode()
    assert kim.post(f"{PAGE}/{stop.pk}/explain", {"reason": "mine"}).status_code == 404


@pytest.mark.oversight("HO-008")
def test_the_reason_is_asked_for_afterwards(kim: Client) -> None:
    kim.post(PULL)
    stop = Stop.objects.get()
    assert "No reason given yet" in text(kim)

    kim.post(f"{PAGE}/{stop.pk}/explain", {"reason": HOSTILE})

    shown = text(kim, "/")
    assert "<script>alert" not in shown
    assert "U+202E" in shown


@pytest.mark.oversight("HO-008")
def test_the_page_lists_acknowledged_and_silent_runners(kim: Client) -> None:
    stop = pull()
    RunnerBeat.objects.create(name="host:1", host="host", acknowledged=stop.pk, in_flight=3)
    RunnerBeat.objects.create(name="host:2", host="host")
    RunnerBeat.objects.filter(name="host:2").update(seen_at=F("seen_at") - timedelta(seconds=6))
    RunnerBeat.objects.create(name="host:3", host="host", ended_at=timezone.now())

    page = text(kim)
    assert "1 of 2 runners acknowledged" in page
    assert "host:3" not in page
    assert "Silent since" in page
    assert "is silent." in text(kim, "/"), "on every page, while nobody has raised an alarm yet"


def poll(client: Client, address: str, target: str, tag: str) -> Any:
    headers = {"HX-Request": "true", "HX-Target": target, "HX-PTag": tag}
    return client.get(address, headers=headers)


@pytest.mark.oversight("HO-002")
@pytest.mark.parametrize(("address", "target"), [("/live/counts", "div#nav-links"), (PAGE, "div#switches")])
def test_state_visible_at_the_next_poll(kim: Client, address: str, target: str, stop_file: Path) -> None:
    """Every change reaches an open page with its next poll, which is every two seconds."""
    noa = factories.actor(factories.person("noa"))

    def end(stop: Stop) -> None:
        stop.lift(by=noa)

    tag, stop = poll(kim, address, target, "")["HX-PTag"], pull(PAUSE)
    beat = RunnerBeat.objects.create(name="host:1", host="host")
    changes = [
        lambda: stop.explain("For the window", by=noa),
        lambda: watching.mind_stops(Actor.system("runner")),
        lambda: RunnerBeat.objects.update(acknowledged=stop.pk),
        lambda: RunnerBeat.objects.update(seen_at=F("seen_at") - timedelta(seconds=6)),
        beat.delete,
        lambda: end(stop),
        stop_file.touch,
        stop_file.unlink,
    ]
    for number, change in enumerate([lambda: None, *changes]):
        change()
        answer = poll(kim, address, target, tag)
        assert (answer.status_code, answer["HX-PTag"] != tag) == (200, True), number
        tag = answer["HX-PTag"]


def test_a_stop_file_is_shown_before_any_runner_has_seen_it(
    kim: Client, noa: Client, stop_file: Path
) -> None:
    stop = pull()
    stop_file.write_text("Too many mails gone")
    assert "Too many mails gone" in text(kim, "/")
    refused = noa.post(f"{PAGE}/{stop.pk}/resume")
    assert refused.status_code == 409
    assert str(stop_file) in refused.content.decode()


def test_the_banner_says_that_nothing_is_in_flight_any_more(kim: Client) -> None:
    pull()
    assert "Stopping, 0 in flight." in text(kim, "/")
    watching.mind_stops(Actor.system("runner"))
    quiet = timezone.localtime(Stop.objects.get().quiet_at)
    assert f"Stopped {quiet:%H:%M:%S}, nothing in flight." in text(kim, "/")


def test_history_says_who_and_until_when(noa: Client) -> None:
    pull(PAUSE, who="mira").lift(by=factories.actor(factories.person("noa")))
    page = text(noa).replace("<bdi>", "").replace("</bdi>", "")
    assert "Pause of all execution</b> by Mira Chen" in page
    assert "resumed by Noa Levi" in page
