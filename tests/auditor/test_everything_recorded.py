"""Whatever somebody does or is refused leaves an event: who, how they came in, when, in which request, and with the change."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from actioncenter.accounts import attempts, refusals
from actioncenter.actions.abilities import BUTTONS
from actioncenter.actions.forms import BULK_VERBS
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.conftest import estate, run
from tests.auditor.asked import CASES
from tests.auditor.lives import Run
from tests.auditor.only_answered import LEAVES_NOTHING, READ_ONLY, TAKEN_AWAY
from tests.settings.stopping import pull, stop_file

__all__ = ["estate", "run", "stop_file"]
pytestmark = pytest.mark.django_db
UNKEPT = {"sessions.session", "accounts.answer"}
"""Tables that tell of a request and not of what it changed."""


def signed_in(name: str) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(factories.person(name))
    factories.prove(client)
    return client


def left_by(answer: Any) -> list[Event]:
    return list(Event.objects.filter(request_id=answer["X-Request-Id"]).order_by("pk"))


def addresses(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            name = entry.namespace
            yield from addresses(entry, f"{prefix}{name}:" if name else prefix)
        else:
            yield f"{prefix}{entry.name}", entry


# Every address is spoken for


def test_every_address_says_what_it_leaves() -> None:
    known = {name for name, _ in addresses()}
    listed = {name.split(" ")[0] for name in CASES} | LEAVES_NOTHING.keys() | READ_ONLY | TAKEN_AWAY
    assert known == listed, "say in tests/auditor/asked.py which events it leaves"


def test_so_does_every_verb() -> None:
    assert {name.split(" ")[1] for name in CASES if name.startswith("actions:decide ")} == BUTTONS.keys()
    verbs = {name.split(" ")[1] for name in CASES if name.startswith("actions:bulk ")}
    assert verbs == {verb.value for verb in BULK_VERBS}


@pytest.mark.parametrize("name", sorted(READ_ONLY | TAKEN_AWAY))
def test_what_is_said_to_only_read_takes_no_form(name: str) -> None:
    (entry,) = [entry for found, entry in addresses() if found == name]
    view = entry.callback
    request = type("Asked", (), {"method": "POST", "path": "/"})()
    assert view(request, **dict.fromkeys(entry.pattern.converters, 1)).status_code == 405


# What is done


@pytest.mark.parametrize("name", CASES)
def test_what_is_done_leaves_its_events_or_isnt_done(
    name: str, run: Run, estate: Estate, stop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    address, form = case.prepare(run, estate)
    client, before = signed_in(case.who), everything()
    with monkeypatch.context() as broken:
        broken.setattr(log, "_chained", refuse)
        client.post(address, form)
    assert everything() == before

    answer, now = client.post(address, form), timezone.now()
    events = left_by(answer)
    assert case.leaves <= {event.kind for event in events}, answer.content.decode()[:2000]
    person = factories.person(case.who)
    for event in events:
        assert (event.actor, event.actor_name, event.actor_via) == (person.ref, person.shown_name, "session")
        assert abs(event.at - now).total_seconds() < 60


def refuse(*args: Any) -> None:
    raise DatabaseError("the log is full")


def everything() -> dict[str, list[Any]]:
    models = [model for model in apps.get_models() if model._meta.label_lower not in UNKEPT]
    return {model._meta.label: list(model._base_manager.order_by("pk").values()) for model in models}


def test_that_check_sees_what_is_changed_without_an_event(run: Run, estate: Estate) -> None:
    before = everything()
    type(factories.person("mira")).objects.filter(username="mira").update(theme=2)
    assert everything() != before


# Signing in


def test_signing_in_and_failing_to(client: Client) -> None:
    mira = factories.person("mira")
    kinds = []
    for password in ("wrong", factories.PASSWORD):
        (event,) = left_by(client.post("/sign-in", {"username": "mira", "password": password}))
        kinds.append(event.kind)
        assert (event.subject, event.detail) == (mira.ref, {"address": "127.0.0.1"})
    assert kinds == [Kind.SESSION_SIGN_IN_FAILED, Kind.SESSION_SIGNED_IN]


@pytest.mark.parametrize("signed_in_first", [False, True])
def test_the_last_failure_locks_and_says_so(client: Client, signed_in_first: bool) -> None:
    factories.person("mira")
    address, form = "/sign-in", {"username": "mira", "password": "wrong"}
    if signed_in_first:
        client, address = signed_in("mira"), "/confirm-identity"
    for _ in range(attempts.LIMIT):
        last = client.post(address, form)
    assert [event.kind for event in left_by(last)] == [Kind.SESSION_SIGN_IN_FAILED, Kind.SESSION_LOCKED]
    assert client.post(address, {**form, "password": factories.PASSWORD}).status_code == 429
    assert Event.objects.filter(kind=Kind.SESSION_LOCKED).count() == 1


# What is refused


def test_each_refusal_says_why(run: Run, estate: Estate) -> None:
    action, hidden = factories.waiting_action(), factories.waiting_action(factories.closed_group())
    decided = factories.waiting_action().approve(by=factories.person("sam").actor())
    page = "/action-center/actions/{}/approve".format
    unproved = signed_in("noa")
    session = unproved.session
    session["proved"] = 0
    session.save()
    told = [
        refused(signed_in("kim"), page(action.pk)),
        refused(signed_in("mira"), page(hidden.pk)),
        refused(signed_in("mira"), page(decided.pk)),
        refused(signed_in("mira"), "/settings/rules/add"),
        refused(unproved, f"/settings/stops/{pull().pk}/resume", comment="Found it."),
    ]
    assert told == [(403, "role"), (404, None), (409, "decided"), (403, None), (302, "reauthenticate")]


def refused(client: Client, address: str, **form: str) -> tuple[int, str | None]:
    answer = client.post(address, {"revision": "1", **form})
    (event,) = left_by(answer)
    detail = event.detail or {}
    assert (event.kind, detail["method"], detail["address"]) == (Kind.ACCESS_REFUSED, "POST", address)
    assert detail["status"] == answer.status_code
    return answer.status_code, detail.get("code")


def test_of_many_each_that_was_refused_is_named() -> None:
    action = factories.waiting_action()
    decided = factories.waiting_action().approve(by=factories.person("sam").actor())
    form = {"verb": "approve", "selected": [str(action.pk), str(decided.pk)]}
    answer = signed_in("mira").post("/action-center/bulk", form)
    (event,) = Event.objects.filter(kind=Kind.ACCESS_REFUSED, request_id=answer["X-Request-Id"])
    assert event.detail is not None
    assert (event.detail["verb"], event.detail["rows"]) == ("approve", {str(decided.pk): "conflict"})


def test_looking_where_one_may_not_is_kept_and_a_wrong_address_isnt() -> None:
    hidden = factories.waiting_action(factories.closed_group())
    mira = signed_in("mira")
    (event,) = left_by(mira.get(f"/action-center/actions/{hidden.pk}"))
    assert (event.kind, event.actor_via) == (Kind.ACCESS_REFUSED, "session")
    assert left_by(mira.get("/nothing-here")) == []
    assert left_by(Client().get(f"/action-center/actions/{hidden.pk}")) == []


def test_nobody_fills_the_log_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "LIMIT", 3)
    mira = signed_in("mira")
    left = [left_by(mira.get("/action-center/actions/987654")) for _ in range(5)]
    assert [len(events) for events in left] == [1, 1, 1, 0, 0]
    assert left[2][0].detail is not None
    assert left[2][0].detail["more"] == "not kept"
