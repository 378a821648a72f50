"""Who may send the log where, what is remembered of it, and what is shown."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from actioncenter import vault
from actioncenter.accounts.models import User
from actioncenter.actions.execution import streaming, wires
from actioncenter.audit import sealing
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.ops import metrics
from actioncenter.ops.doctor import sealing as doctor
from actioncenter.settings.models import Destination, DestinationError
from actioncenter.settings.models.streams import MOST, is_forbidden
from tests import factories
from tests.ops.rotations import command

pytestmark = pytest.mark.django_db
BY = Actor.command("streams")
SECRET = "a secret of enough characters"


def add(**changed: Any) -> Destination:
    given = {
        "name": "SIEM",
        "address": "https://siem.example/hook",
        "what": "events",
        "secret": SECRET,
        "by": BY,
    }
    return Destination.add(**{"so_far": False, **given, **changed})


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": " "}),
    ("name", {"name": "a\nb"}),
    ("name", {"name": "x" * 81}),
    ("what", {"what": "everything"}),
    ("address", {"address": "http://siem.example/"}),
    ("address", {"address": "http://127.0.0.1/"}),
    ("address", {"address": "file:///etc/passwd"}),
    ("address", {"address": "gopher://siem.example/"}),
    ("address", {"address": "https:///hook"}),
    ("address", {"address": "https://user:word@siem.example/"}),
    ("address", {"address": "https://siem.example/#part"}),
    ("address", {"address": "https://siem.example/a\r\nHost: b"}),
    ("address", {"address": "https://siem.example:99999/"}),
    ("address", {"address": "https://[siem/"}),
    ("address", {"address": "syslog+tcp://siem.example", "secret": ""}),
    ("address", {"address": "syslog+tls://siem.example:6514/path", "secret": ""}),
    ("secret", {"address": "syslog+tls://siem.example:6514"}),
    ("secret", {"secret": ""}),
    ("secret", {"secret": "short"}),
    ("what", {"address": "syslog+udp://siem.example:514", "secret": "", "what": "seals"}),
]


@pytest.mark.parametrize(("code", "changed"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_destination_is_refused(code: str, changed: dict[str, Any]) -> None:
    with pytest.raises(DestinationError) as refused:
        add(**changed)
    assert (refused.value.code, Destination.objects.count()) == (code, 0)


def test_there_is_one_of_a_name_and_not_too_many() -> None:
    add()
    with pytest.raises(DestinationError, match="of this name"):
        add(name="siem")
    for number in range(MOST - 1):
        add(name=f"{number}")
    with pytest.raises(DestinationError, match="at most"):
        add(name="one more")


def test_every_change_is_an_event_and_no_secret_is_in_it() -> None:
    row = add()
    assert row.switch(on=False, by=BY)
    assert not row.switch(on=False, by=BY)
    row.remove(by=BY)
    events = Event.objects.filter(stream=row.ref).order_by("seq")
    assert [event.kind for event in events] == [Kind.STREAM_ADDED, Kind.STREAM_CHANGED, Kind.STREAM_REMOVED]
    assert SECRET not in "".join(event.canonical for event in events)
    assert vault.unseal(row.secret) == SECRET
    assert SECRET.encode() not in bytes(row.secret)


@pytest.mark.parametrize(("name", "code"), [("mira", "role"), ("noa", "reauthenticate")])
def test_only_an_admin_who_has_proved_it(name: str, code: str) -> None:
    person = factories.person(name)
    actor = User.objects.get(pk=person.pk).actor()
    with pytest.raises(DestinationError) as refused:
        add(by=actor)
    assert refused.value.code == code


def test_it_begins_with_what_comes_or_with_all() -> None:
    factories.person("noa")
    sealing.seal()
    newest = sealing.newest()
    assert newest is not None
    assert add().seal == newest.number
    assert add(name="All", so_far=True).seal == 0


def test_what_is_switched_off_is_sent_nothing() -> None:
    row = add(so_far=True)
    factories.person("noa")
    sealing.seal()
    assert streaming.waiting()
    row.switch(on=False, by=BY)
    assert not streaming.waiting()
    assert not row.claim()


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("169.254.169.254", True),
        ("fe80::1%eth0", True), ("0.0.0.0", True), ("224.0.0.1", True), ("::", True), ("10.1.2.3", False),
        ("192.0.2.1", False), ("2001:db8::1", False),
    ],
)  # fmt: skip
def test_nothing_is_sent_to_this_machine_or_its_link(address: str, forbidden: bool) -> None:
    assert is_forbidden(address) == forbidden


def test_a_name_that_leads_here_is_refused_when_it_is_sent_to() -> None:
    row = add(address="https://localhost:1/")
    with pytest.raises(wires.Undelivered, match="this machine or its link"):
        wires.post(row.url, b"", secret="", ref="x", ca="")


def test_a_name_that_nobody_knows() -> None:
    row = add(address="syslog+tcp://nobody.invalid:514", secret="", so_far=True)
    factories.person("noa")
    sealing.seal()
    assert row.claim()
    streaming.deliver(row)
    row.refresh_from_db()
    assert (row.failures, row.seal, row.error) == (1, 0, "Its name isn't known.")


def late(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Destination:
    monkeypatch.setattr(doctor, "LATE", timedelta(0))
    row = add(so_far=True)
    factories.person("noa")
    sealing.seal()
    Destination.objects.update(failures=3, error="It answers (500).", failed_at=Now(), next_try_at=Now())
    return row


def test_the_doctor_and_the_figures_say_who_is_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = late(settings, monkeypatch)
    (finding,) = doctor.streamed()
    assert (finding.code, finding.what) == ("streams.behind", "SIEM is 1 seals behind: It answers (500).")
    said = metrics.exposition().decode()
    assert 'actioncenter_stream_behind{destination="SIEM"} 1.0' in said
    assert 'actioncenter_stream_failures{destination="SIEM"} 3.0' in said
    Destination.objects.filter(pk=row.pk).update(seal=1)
    assert list(doctor.streamed()) == []


def test_the_page_shows_how_far_each_is(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(settings, monkeypatch)
    client.force_login(factories.person("noa"))
    said = client.get("/settings/health").content.decode()
    for words in (
        "Receivers of the log",
        "Failing",
        "Events to",
        "siem.example/hook",
        "It answers (500).",
    ):
        assert words in said


def test_the_page_asks_no_more_for_many(client: Client) -> None:
    client.force_login(factories.person("noa"))
    client.get("/settings/health")
    counts = []
    for number in (1, 3, MOST):
        for each in range(Destination.objects.count(), number):
            add(name=f"{each}")
        with CaptureQueriesContext(connection) as asked:
            client.get("/settings/health")
        counts.append(len(asked))
    assert counts[0] == counts[1] == counts[2]


def test_the_command_adds_lists_and_takes_away(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    command(
        "streams",
        "add",
        "SIEM",
        "https://siem.example/",
        "--what",
        "seals",
        "--secret-file",
        str(tmp_path / "secret"),
    )
    _, made = command("streams", "add", "Made", "https://siem.example/", "--what", "seals", "--json")
    row = Destination.objects.get(name="Made")
    assert vault.unseal(row.secret) == json.loads(made)["secret, shown once"]
    (one, other) = json.loads(command("streams", "list", "--json")[1])["streams"]
    assert (one["name"], other["what"], other["enabled"], other["failures"]) == ("Made", "seals", True, 0)
    assert SECRET not in command("streams", "list")[1]

    Destination.objects.update(failures=1, error="Connection refused.")
    assert command("streams", "list")[0] == 1
    command("streams", "disable", "SIEM")
    command("streams", "disable", "Made")
    assert command("streams", "list")[0] == 0
    command("streams", "enable", "Made")
    command("streams", "remove", "SIEM")
    assert list(Destination.objects.values_list("name", "enabled")) == [("Made", True)]
    with pytest.raises(CommandError, match="no destination"):
        command("streams", "remove", "SIEM")
    assert "(command line, streams)" in Event.objects.filter(kind=Kind.STREAM_ADDED)[0].actor_name
