"""Receivers of the log on their page: added, switched, removed; the secret is never shown."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter import vault
from actioncenter.audit.models import Event
from actioncenter.settings.models import Destination
from tests.settings.proving import proved, signed_in, text

pytestmark = pytest.mark.django_db
PAGE = "/settings/streams"
CANARY = "canary-Zw7-never-shown-anywhere"
HOOK = {"name": "SIEM", "address": "https://siem.example/in", "what": "events", "secret": CANARY}


@pytest.fixture
def noa() -> Client:
    return signed_in("noa")


def added(client: Client, **other: str) -> Destination:
    response = client.post(f"{PAGE}/add", {**HOOK, **other})
    assert response.status_code == 302, text(response)
    return Destination.objects.get(name=other.get("name", "SIEM"))


def test_an_admin_adds_switches_and_removes_one(noa: Client) -> None:
    row = added(noa)
    assert vault.unseal(bytes(row.secret)) == CANARY
    for to, on, button in (("off", False, "Switch on"), ("on", True, "Switch off")):
        assert noa.post(f"{PAGE}/{row.pk}/switch", {"to": to}).status_code == 302
        row.refresh_from_db()
        assert row.enabled is on
        assert button in text(noa.get(PAGE))
    assert noa.post(f"{PAGE}/{row.pk}/remove").status_code == 302
    assert not Destination.objects.exists()
    events = Event.objects.filter(kind__startswith="stream.").order_by("pk")
    assert list(events.values_list("kind", flat=True)) == [
        "stream.added", "stream.changed", "stream.changed", "stream.removed",
    ]  # fmt: skip


def test_the_secret_stands_nowhere(noa: Client) -> None:
    wrong = noa.post(f"{PAGE}/add", {**HOOK, "what": "all", "idempotency_key": "k"})
    added(noa, idempotency_key="l")
    for page in (wrong, *(noa.get(address) for address in (PAGE, f"{PAGE}/add", "/settings/health"))):
        assert CANARY not in text(page)
    assert not any(CANARY in f"{event.canonical}" for event in Event.objects.all())


WRONG = {
    "address": ({"address": "ftp://siem.example"}, "An address begins with"),
    "secret": ({"secret": "short"}, "give a secret of 24 characters"),
    "needless": ({"address": "syslog+tls://siem.example:6514"}, "Syslog has no secret"),
    "datagram": ({"address": "syslog+udp://siem.example:514", "what": "seals", "secret": ""}, "too small for a seal"),
    "name": ({"name": ""}, "This field is required"),
    "authority": ({"ca": "not a certificate"}, "no certificate in PEM"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "said"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_told_at_its_field(noa: Client, sent: dict[str, str], said: str) -> None:
    response = noa.post(f"{PAGE}/add", {**HOOK, **sent})
    assert response.status_code == 422
    assert said in text(response)
    assert not Destination.objects.exists()


def test_auditors_read_and_for_others_there_is_no_such_page(noa: Client) -> None:
    row, ivo = added(noa), signed_in("ivo")
    shown = text(ivo.get(PAGE))
    assert "siem.example" in shown
    assert "Remove" not in shown
    for address in (f"{PAGE}/add", f"{PAGE}/{row.pk}/switch", f"{PAGE}/{row.pk}/remove"):
        assert ivo.post(address, HOOK).status_code == 403
    for name in ("mira", "kim", "nobody"):
        client = signed_in(name)
        assert client.get(PAGE).status_code == 404
        for address in (f"{PAGE}/add", f"{PAGE}/{row.pk}/switch", f"{PAGE}/{row.pk}/remove"):
            assert client.post(address, HOOK).status_code == 404
    assert Destination.objects.get().enabled


def test_each_change_asks_for_the_password(noa: Client) -> None:
    row = added(noa)
    proved(noa, seconds_ago=601)
    for address in (f"{PAGE}/add", f"{PAGE}/{row.pk}/switch", f"{PAGE}/{row.pk}/remove"):
        assert noa.post(address, {**HOOK, "name": "More"})["Location"].startswith("/confirm")
    assert noa.get(f"{PAGE}/add")["Location"].startswith("/confirm")
    assert Destination.objects.get().enabled


def test_as_many_statements_for_many_as_for_one(noa: Client) -> None:
    counted = []
    for number in range(3):
        for at in range(number):
            added(noa, name=f"S {number} {at}")
        noa.get(PAGE)
        with CaptureQueriesContext(connection) as seen:
            noa.get(PAGE)
        counted.append(len(seen))
    assert len(set(counted)) == 1
