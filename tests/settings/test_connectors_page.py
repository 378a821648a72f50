"""What people see of the connectors, and what an admin may change there."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import JobKind
from actioncenter.actions.execution import loop
from actioncenter.actions.housekeeping import check_connectors, unchecked
from actioncenter.actions.models import Action, Attempt, ConnectorJob, ConnectorState, pacing
from actioncenter.audit.models import Event
from actioncenter.settings.models import ConnectorInstance, PaceError
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.connecting import connector, decided, fresh, state
from tests.settings.proving import proved

pytestmark = pytest.mark.django_db
PAGE = "/settings/connectors"
HOSTILE = "<script>alert(1)</script>\u202e"
DAY = timedelta(days=1)


@pytest.fixture
def instance(tmp_path: Path) -> ConnectorInstance:
    return connector(tmp_path, "Mail gateway", per_minute=30)


@pytest.fixture
def noa(client: Client) -> Client:
    client.force_login(factories.person("noa"))
    return proved(client)


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(factories.person(name))
    return proved(client)


def text(response: HttpResponse) -> str:
    return response.content.decode()


def opened(instance: ConnectorInstance) -> None:
    for _ in range(pacing.FAILURES):
        pacing.failed(instance.pk, "The estate refused the sign-in.", by=RUNNER)


def change(client: Client, instance: ConnectorInstance, **figures: object) -> HttpResponse:
    sent = {"max_parallel": instance.max_parallel, "per_minute": instance.per_minute, **figures}
    return client.post(f"{PAGE}/{instance.pk}/pace", sent)


# Looking


def test_it_shows_how_each_one_fares(noa: Client, instance: ConnectorInstance) -> None:
    decided(instance, 3)
    action = Action.objects.order_by("pk")[0]
    Attempt.objects.create(action=action, instance=instance, runner="r", lease_until=Now() + DAY)
    ConnectorInstance.objects.filter(pk=instance.pk).update(
        health={"ok": True, "detail": "Up for 9 days."}, health_at=Now() - timedelta(minutes=3)
    )
    opened(instance)

    shown = text(noa.get(PAGE))

    for words in ("Mail gateway", "Up for 9 days.", "3m ago", "1 of 8", "30 calls a minute", "Circuit open"):
        assert words in shown, words
    assert "The estate refused the sign-in." in shown
    assert "Circuit opened" in shown, "and what happened to it"


def test_one_that_was_never_called_is_shown_too(noa: Client) -> None:
    shown = text(noa.get(PAGE))
    assert "Not checked yet" in shown
    assert "No limit" in shown


def test_what_the_far_side_says_is_only_text(noa: Client, instance: ConnectorInstance) -> None:
    ConnectorInstance.objects.filter(pk=instance.pk).update(
        name=f"M{HOSTILE}", health={"ok": False, "detail": HOSTILE}, health_at=Now()
    )
    pacing.hold(instance.pk, 90, HOSTILE, by=RUNNER)
    pacing.failed(instance.pk, HOSTILE, by=RUNNER)
    assert "<script>alert" not in text(noa.get(PAGE))


def test_as_many_statements_for_many_as_for_one(noa: Client, tmp_path: Path) -> None:
    noa.get(PAGE)
    counted = []
    for number in (0, 2, 20):
        for at in range(number):
            made = connector(tmp_path, f"C {number} {at}")
            pacing.failed(made.pk, "Away.", by=RUNNER)
        with CaptureQueriesContext(connection) as seen:
            assert noa.get(PAGE).status_code == 200
        counted.append(len(seen))
    assert len(set(counted)) == 1


@pytest.mark.parametrize("name", ["mira", "aiko", "ivo", "kim"])
def test_everybody_with_a_role_reads_and_changes_nothing(name: str, instance: ConnectorInstance) -> None:
    opened(instance)
    client = signed_in(name)
    shown = text(client.get(PAGE))
    assert "Mail gateway" in shown
    assert "Save the pace" not in shown
    assert "Close the circuit" not in shown
    assert change(client, instance, max_parallel=3).status_code == 403
    assert client.post(f"{PAGE}/{instance.pk}/reset", {"comment": "Mine"}).status_code == 403
    instance.refresh_from_db()
    assert instance.max_parallel == 8
    assert state(instance).opened_at is not None


def test_nobody_else_sees_it(instance: ConnectorInstance) -> None:
    client = signed_in("nobody")
    assert client.get(PAGE).status_code == 403
    assert change(client, instance).status_code == 403


# Changing the pace


def test_an_admin_changes_the_pace(noa: Client, instance: ConnectorInstance) -> None:
    response = change(noa, instance, max_parallel=3, per_minute=120, seen="8:30")
    assert response.status_code == 302
    instance.refresh_from_db()
    assert (instance.max_parallel, instance.per_minute) == (3, 120)
    event = Event.objects.get(kind="connector.changed")
    assert event.before == {"max_parallel": 8, "per_minute": 30}
    assert event.after == {"max_parallel": 3, "per_minute": 120}
    assert event.stream == f"connector:{instance.pk}"
    assert "max parallel 8 → 3" in text(noa.get(PAGE))


@pytest.mark.parametrize(
    "figures",
    [
        {"max_parallel": 0},
        {"max_parallel": 1001},
        {"max_parallel": "many"},
        {"max_parallel": ""},
        {"per_minute": -1},
        {"per_minute": 60_001},
        {"per_minute": "9" * 30},
        {"seen": "8;30"},
    ],
)
def test_figures_that_make_no_sense_change_nothing(
    figures: dict[str, object], noa: Client, instance: ConnectorInstance
) -> None:
    assert change(noa, instance, **figures).status_code == 422
    assert not Event.objects.filter(kind="connector.changed").exists()


def test_the_slower_of_two_is_told(noa: Client, instance: ConnectorInstance) -> None:
    assert change(noa, instance, max_parallel=3, seen="8:30").status_code == 302
    late = change(noa, instance, max_parallel=5, seen="8:30")
    assert late.status_code == 409
    assert "since you opened this page" in text(late)
    instance.refresh_from_db()
    assert instance.max_parallel == 3


def test_nothing_changed_is_nothing_told(noa: Client, instance: ConnectorInstance) -> None:
    assert change(noa, instance, seen="8:30").status_code == 302
    assert not Event.objects.filter(kind="connector.changed").exists()


def test_both_ask_for_the_password(client: Client, instance: ConnectorInstance) -> None:
    opened(instance)
    client.force_login(factories.person("noa"))
    proved(client, seconds_ago=601)
    for response in (
        change(client, instance, max_parallel=3),
        client.post(f"{PAGE}/{instance.pk}/reset", {"comment": "Renewed"}),
    ):
        assert response.status_code == 302
        assert response["Location"].startswith("/confirm")
    instance.refresh_from_db()
    assert instance.max_parallel == 8
    assert state(instance).opened_at is not None


def test_a_person_who_is_no_admin_changes_no_pace(instance: ConnectorInstance) -> None:
    with pytest.raises(PaceError) as caught:
        instance.set_pace(max_parallel=1, per_minute=1, by=factories.actor(factories.person("mira")))
    assert caught.value.code == "role"


# Closing a circuit


def test_an_admin_closes_a_circuit_with_a_reason(noa: Client, instance: ConnectorInstance) -> None:
    opened(instance)
    assert "Close the circuit" in text(noa.get(PAGE))
    assert noa.post(f"{PAGE}/{instance.pk}/reset", {"comment": " "}).status_code == 422
    assert noa.post(f"{PAGE}/{instance.pk}/reset", {"comment": "Token renewed"}).status_code == 302
    assert state(instance).opened_at is None
    shown = text(noa.get(PAGE))
    assert "Close the circuit" not in shown
    assert "Token renewed" in shown
    assert noa.post(f"{PAGE}/{instance.pk}/reset", {"comment": "Again"}).status_code == 409
    assert noa.post(f"{PAGE}/999999/reset", {"comment": "Again"}).status_code == 404


# Why an action waits


def circuit(instance: ConnectorInstance) -> None:
    opened(instance)


def patience(instance: ConnectorInstance) -> None:
    pacing.hold(instance.pk, 90, "Too many requests.", by=RUNNER)


def pace(instance: ConnectorInstance) -> None:
    ConnectorState.objects.create(instance=instance, paced_until=Now() + DAY)


def full(instance: ConnectorInstance) -> None:
    ConnectorInstance.objects.filter(pk=instance.pk).update(max_parallel=1)
    (other,) = decided(instance)
    Attempt.objects.create(action=other, instance=instance, runner="r", lease_until=Now() + DAY)


SAID = {
    circuit: ("Circuit open", "connector Mail gateway keeps failing, its circuit is open since"),
    patience: ("Patience until", "connector Mail gateway asked for patience until"),
    pace: ("Paced", "connector Mail gateway takes 30 calls a minute"),
    full: ("All calls taken", "connector Mail gateway takes 1 calls at once, and 1 are under way"),
}


@pytest.mark.parametrize("trouble", SAID, ids=lambda trouble: trouble.__name__)
def test_an_action_says_which_connector_it_waits_for(
    trouble: object, noa: Client, instance: ConnectorInstance
) -> None:
    short, sentence = SAID[trouble]  # type: ignore[index]
    (action,) = decided(instance)
    pane, row = f"/action-center/actions/{action.pk}", "/action-center/history"
    for address in (pane, row):
        assert "Waits: connector" not in text(noa.get(address))

    trouble(instance)  # type: ignore[operator]

    assert sentence in text(noa.get(pane))
    listed = text(noa.get(row))
    assert short in listed
    assert sentence in listed


def test_what_is_over_waits_for_nothing(noa: Client, instance: ConnectorInstance) -> None:
    (action,) = decided(instance)
    opened(instance)
    action.request_cancel(by=factories.person("mira").actor(), comment="No more")
    loop.drain(by=RUNNER)
    assert fresh([action])[0].history_at is not None
    assert "Waits:" not in text(noa.get(f"/action-center/actions/{action.pk}"))


# Looking after them


def test_health_is_asked_for_every_few_minutes(instance: ConnectorInstance) -> None:
    ConnectorInstance.objects.update(enabled=True)
    number = ConnectorInstance.objects.count()
    assert check_connectors(RUNNER) == number
    assert not unchecked().exists(), "once at a time"
    loop.drain(by=RUNNER)
    assert not unchecked().exists()
    instance.refresh_from_db()
    assert instance.health["ok"] is True
    ConnectorInstance.objects.update(health_at=Now() - timedelta(minutes=6))
    assert check_connectors(RUNNER) == number
    assert ConnectorJob.objects.filter(kind=JobKind.CHECK).count() == number, "and the last ones are gone"


def test_one_that_cannot_even_be_asked_is_not_well(instance: ConnectorInstance) -> None:
    ConnectorInstance.objects.filter(pk=instance.pk).update(kind="gone", enabled=True)
    ConnectorInstance.objects.exclude(pk=instance.pk).update(enabled=False)
    check_connectors(RUNNER)
    loop.drain(by=RUNNER)
    instance.refresh_from_db()
    assert instance.health["ok"] is False
    assert "gone" in instance.health["detail"]
    assert not unchecked().exists()
