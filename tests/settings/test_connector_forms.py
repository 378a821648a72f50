"""Adding and changing a connector on the pages: what is typed, kept, shown, and never shown again."""

import logging
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from actioncenter import vault
from actioncenter.accounts.models import Answer
from actioncenter.actions.execution import loop
from actioncenter.actions.models import ConnectorJob
from actioncenter.audit.models import Event
from actioncenter.connectors import registry
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ConnectorInstance, DeviceGroup, PaceError
from tests import factories
from tests.actions.conftest import RUNNER
from tests.settings.proving import proved, signed_in, text

pytestmark = pytest.mark.django_db
PAGE = "/settings/connectors"
CANARY = "canary-Zw7-never-shown"
MAIL = {
    "name": "Mail gateway", "priority": "20", "option-host": "mail.halden.example", "option-port": "993",
    "option-security": "tls", "option-user": "remediation", "option-domains": "halden.example\nhalden.test",
    "option-quarantine": "Quarantine", "option-recoverable": "Recoverable", "option-chunk": "400",
    "option-connections": "4", "option-keep_days": "60", "secret-password": CANARY,
}  # fmt: skip


@pytest.fixture
def noa() -> Client:
    return signed_in("noa")


def added(client: Client, **other: Any) -> ConnectorInstance:
    response = client.post(f"{PAGE}/add/imap", {**MAIL, **other})
    assert response.status_code == 302, text(response)
    return ConnectorInstance.objects.get(name=other.get("name", MAIL["name"]))


def edited(client: Client, row: ConnectorInstance, **other: Any) -> HttpResponse:
    sent = {**MAIL, "secret-password": "", "revision": row.revision, **other}
    return client.post(f"{PAGE}/{row.pk}/edit", sent)


def password(row: ConnectorInstance) -> str:
    row.refresh_from_db()
    return str(vault.unseal(bytes(row.secret))["password"])


def newest(row: ConnectorInstance) -> Event:
    return Event.objects.filter(stream=f"connector:{row.pk}").order_by("-pk")[0]


# Adding


def test_an_admin_adds_one_and_nothing_uses_it_yet(noa: Client) -> None:
    group = factories.group()
    row = added(noa, groups=[str(group.pk)])
    assert (row.kind, row.enabled, row.simulated, row.priority) == ("imap", False, False, 20)
    assert row.settings["host"] == "mail.halden.example"
    assert row.settings["domains"] == ["halden.example", "halden.test"]
    assert row.settings["port"] == 993
    assert list(row.groups.all()) == [group]
    assert password(row) == CANARY
    event = newest(row)
    assert event.kind == "connector.added"
    assert event.after["secret.password"] == "set"
    assert event.after["groups"] == [group.name]


@pytest.mark.parametrize("kind", sorted(registry.KINDS))
def test_every_kind_has_a_form(noa: Client, kind: str) -> None:
    shown = text(noa.get(f"{PAGE}/add/{kind}"))
    for part in registry.kind(kind).SETTINGS_SCHEMA["properties"].values():
        assert part["title"] in shown.replace("&#x27;", "'")
    assert f'href="{PAGE}/add/{kind}"' in text(noa.get(PAGE))


WRONG = {
    "port": ({"option-port": "70000"}, "less than or equal to 65535"),
    "host": ({"option-host": ""}, "This field is required."),
    "name": ({"name": " "}, "This field is required."),
    "security": ({"option-security": "ssl"}, "ssl is not one of the available choices"),
    "password": ({"secret-password": ""}, "This field is required."),
    "group": ({"groups": ["999999"]}, "999999 is not one of the available choices"),
    "together": ({"option-security": "none"}, "talks to its own machine only"),
    "priority": ({"priority": "0"}, "greater than or equal to 1"),
    "file of the host": ({"option-directory": "/etc/passwd"}, "It isn't written as it has to be."),
    "file above": ({"option-directory": ".."}, "It isn't written as it has to be."),
}


@pytest.mark.parametrize(("sent", "said"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_told_at_its_field(noa: Client, sent: dict[str, Any], said: str) -> None:
    before = ConnectorInstance.objects.count()
    response = noa.post(f"{PAGE}/add/imap", {**MAIL, **sent})
    assert response.status_code == 422
    assert said in text(response).replace("&#x27;", "'")
    assert CANARY not in text(response)
    assert ConnectorInstance.objects.count() == before


def test_a_name_that_is_taken_is_told_at_its_field(noa: Client) -> None:
    added(noa)
    again = noa.post(f"{PAGE}/add/imap", {**MAIL, "name": "MAIL gateway"})
    assert again.status_code == 422
    assert "There is a connector of this name." in text(again)
    assert CANARY not in text(again)


# Changing


def test_only_what_differs_is_written_down(noa: Client) -> None:
    row = added(noa)
    assert edited(noa, row, **{"option-chunk": "200"}).status_code == 302
    event = newest(row)
    assert (event.before, event.after) == ({"settings.chunk": 400}, {"settings.chunk": 200})
    assert password(row) == CANARY, "an empty field keeps it"
    assert "chunk 400 → 200" in text(noa.get(f"{PAGE}/{row.pk}"))


def test_nothing_changed_is_nothing_told(noa: Client) -> None:
    row = added(noa)
    before = newest(row).pk
    assert edited(noa, row).status_code == 302
    assert newest(row).pk == before


def test_a_secret_is_replaced_without_being_told(noa: Client) -> None:
    row = added(noa)
    assert edited(noa, row, **{"secret-password": "another-one"}).status_code == 302
    assert password(row) == "another-one"
    event = newest(row)
    assert event.after == {"secret.password": "set anew"}
    assert "another-one" not in f"{event.before}{event.after}{event.detail}"


@pytest.mark.parametrize(
    "moved", [{"option-host": "mail.evil.example"}, {"option-port": "1993"}, {"option-user": "root"}], ids=str
)
def test_a_secret_follows_to_no_other_place(noa: Client, moved: dict[str, str]) -> None:
    row = added(noa)
    refused = edited(noa, row, **moved)
    assert refused.status_code == 422
    assert "Give it again: it would go somewhere else" in text(refused)
    row.refresh_from_db()
    assert row.settings["host"] == "mail.halden.example"
    assert edited(noa, row, **moved, **{"secret-password": "for-there"}).status_code == 302
    assert password(row) == "for-there"


def test_the_slower_of_two_is_told(noa: Client) -> None:
    row = added(noa)
    assert edited(noa, row, **{"option-chunk": "200"}).status_code == 302
    late = edited(noa, row, **{"option-chunk": "300"})
    assert late.status_code == 409
    assert "since you opened this page" in text(late)
    row.refresh_from_db()
    assert row.settings["chunk"] == 200


def test_what_the_last_check_said_is_of_other_settings(noa: Client) -> None:
    row = added(noa)
    ConnectorInstance.objects.filter(pk=row.pk).update(
        health={"ok": True, "detail": "Fine."}, health_at="2026-01-01T00:00Z"
    )
    assert "Fine." in text(noa.get(f"{PAGE}/{row.pk}"))
    edited(noa, row, **{"option-chunk": "200"})
    assert "not since its settings were changed" in text(noa.get(f"{PAGE}/{row.pk}"))


def test_groups_that_an_admin_cannot_see_stay(noa: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, hidden = factories.group(), factories.group("Board members")
    row = added(noa, groups=[str(seen.pk)])
    row.groups.add(hidden)
    monkeypatch.setattr(
        "actioncenter.settings.views.connecting._groups", lambda _: DeviceGroup.objects.exclude(pk=hidden.pk)
    )
    shown = text(noa.get(f"{PAGE}/{row.pk}"))
    assert "Board members" not in shown.partition("What happened")[0]
    assert "1 that you can" in shown
    assert edited(noa, row, groups=[]).status_code == 302
    assert list(row.groups.all()) == [hidden]


# Who may


CHANGES = ("edit", "check", "switch", "dry-run")


def test_an_auditor_reads_and_changes_nothing(noa: Client) -> None:
    row, ivo = added(noa), signed_in("ivo")
    shown = text(ivo.get(f"{PAGE}/{row.pk}"))
    assert "mail.halden.example" in shown
    assert "Test it now" not in shown
    assert ">Enable<" not in shown
    for change in CHANGES:
        assert ivo.post(f"{PAGE}/{row.pk}/{change}", {**MAIL, "to": "on"}).status_code == 403
    assert ivo.post(f"{PAGE}/add/imap", MAIL).status_code == 403
    assert ivo.get(f"{PAGE}/add/imap")["Location"] == PAGE
    assert ivo.get(f"{PAGE}/{row.pk}/edit")["Location"] == f"{PAGE}/{row.pk}"
    row.refresh_from_db()
    assert not row.enabled
    assert not ConnectorJob.objects.exists()


@pytest.mark.parametrize("name", ["mira", "aiko", "kim", "nobody"])
def test_for_others_there_is_no_such_page(noa: Client, name: str) -> None:
    row, client = added(noa), signed_in(name)
    assert client.get(f"{PAGE}/{row.pk}").status_code == 404
    assert client.get(f"{PAGE}/add/imap").status_code == 404
    assert client.post(f"{PAGE}/add/imap", {**MAIL, "name": "Theirs"}).status_code == 404
    for change in CHANGES:
        assert client.post(f"{PAGE}/{row.pk}/{change}", {**MAIL, "to": "on"}).status_code == 404
    assert not ConnectorInstance.objects.filter(name="Theirs").exists()


def test_what_does_not_exist_is_not_found(noa: Client) -> None:
    assert noa.get(f"{PAGE}/add/telnet").status_code == 404
    assert noa.get(f"{PAGE}/999999").status_code == 404
    assert noa.post(f"{PAGE}/999999/check").status_code == 404


@pytest.mark.parametrize("to", ["edit", "switch", "dry-run"])
def test_each_change_asks_for_the_password(noa: Client, to: str) -> None:
    row = added(noa)
    proved(noa, seconds_ago=601)
    response = noa.post(f"{PAGE}/{row.pk}/{to}", {**MAIL, "to": "on"})
    assert response.status_code == 302
    assert response["Location"].startswith("/confirm")
    row.refresh_from_db()
    assert (row.enabled, row.dry_run, row.revision) == (False, False, 0)


def test_it_is_asked_for_before_anything_is_typed(noa: Client) -> None:
    proved(noa, seconds_ago=601)
    assert noa.get(f"{PAGE}/add/imap")["Location"].startswith("/confirm")


REFUSED = {
    "configure": lambda row, by: row.configure(
        revision=0, name="X", priority=1, options={}, groups=[], secret={}, by=by
    ),
    "rehearse": lambda row, by: row.rehearse(on=True, by=by),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_the_model_asks_again_who_it_is(noa: Client, change: Any) -> None:
    row = added(noa)
    for by, code in (
        (factories.actor(factories.person("mira")), "role"),
        (factories.person("noa").actor(), "reauthenticate"),
    ):
        with pytest.raises(PaceError) as caught:
            change(row, by)
        assert caught.value.code == code
    with pytest.raises(PaceError) as caught:
        ConnectorJob.request_check(row, by=factories.actor(factories.person("mira")))
    assert caught.value.code == "role"


# Testing, enabling


def test_a_check_is_asked_for_here_and_carried_out_by_a_runner(noa: Client, tmp_path: Path) -> None:
    sent = {"name": "Lab", "priority": "5", "option-path": str(tmp_path / "lab.sqlite3"), "option-delivery": "keyed",
            "option-chunk": "10", "option-pace": "0"}  # fmt: skip
    assert noa.post(f"{PAGE}/add/simulator", sent).status_code == 302
    row = ConnectorInstance.objects.get(name="Lab")
    here = f"{PAGE}/{row.pk}"
    assert "Not checked yet" in text(noa.get(here))
    assert noa.post(f"{here}/check").status_code == 302
    assert noa.post(f"{here}/check").status_code == 302, "and once is enough"
    assert ConnectorJob.checks_of(row.pk).count() == 1
    assert newest(row).kind == "job.requested"
    waits = noa.get(here)
    assert "Under way" in text(waits)
    assert "No runner is working" in text(waits)

    loop.drain(by=RUNNER)

    row.refresh_from_db()
    assert row.health["ok"] is True
    shown = text(noa.get(here))
    assert row.health["detail"] in shown
    assert "Well" in shown
    assert "Under way" not in shown


def test_one_that_cannot_be_reached_says_so(noa: Client) -> None:
    row = added(noa, **{"option-host": "127.0.0.1", "option-port": "1", "option-security": "none"})
    noa.post(f"{PAGE}/{row.pk}/check")
    loop.drain(by=RUNNER)
    row.refresh_from_db()
    assert row.health["ok"] is False
    shown = text(noa.get(f"{PAGE}/{row.pk}"))
    assert "Not well" in shown
    assert CANARY not in shown


def test_the_first_real_one_asks_for_every_level(noa: Client) -> None:
    default = DeviceGroup.objects.get(is_default=True)
    default.level, default.level_confirmed = AutomationLevel.FULL, False
    default.save()
    row = added(noa)
    assert "Enabling it sets these groups" in text(noa.get(f"{PAGE}/{row.pk}"))
    answer = noa.post(f"{PAGE}/{row.pk}/switch", {"to": "on"})
    assert answer["Location"] == "/settings/groups"
    default.refresh_from_db()
    assert default.level == AutomationLevel.SEMI_ALL
    assert "Confirm its level" in text(noa.get("/settings/groups"))
    page = f"/settings/groups/{default.pk}"
    assert "Confirm this level" in text(noa.get(page))
    assert noa.post(f"{page}/level/keep", {"revision": default.revision}).status_code == 302
    default.refresh_from_db()
    assert default.level_confirmed
    assert "Confirm its level" not in text(noa.get("/settings/groups"))
    assert "Confirm this level" not in text(noa.get(page))

    assert noa.post(f"{PAGE}/{row.pk}/switch", {"to": "off"})["Location"] == f"{PAGE}/{row.pk}"
    row.refresh_from_db()
    assert not row.enabled


def test_polling_says_when_nothing_is_new(noa: Client) -> None:
    row = added(noa)
    ask = {"HX-Request": "true", "HX-Target": "div#connector-check"}
    headers = {**ask, "HX-PTag": noa.get(f"{PAGE}/{row.pk}", headers=ask)["HX-PTag"]}
    assert noa.get(f"{PAGE}/{row.pk}", headers=headers).status_code == 304
    ConnectorJob.request_check(row, by=factories.actor(factories.person("noa")))
    fragment = noa.get(f"{PAGE}/{row.pk}", headers=headers)
    assert fragment.status_code == 200
    assert "Under way" in text(fragment)
    assert "<html" not in text(fragment)


# A secret


def everything_stored() -> str:
    """Every text in every table but the ciphertext, which is bytes."""
    told = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            told.append(str(cursor.fetchall()))
    return "\n".join(told)


def test_a_secret_stands_nowhere(noa: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    row = added(noa, idempotency_key="one-key")
    pages = [edited(noa, row, **{"option-port": "0", "secret-password": CANARY})]
    pages.append(edited(noa, row, revision=77, **{"secret-password": CANARY}))
    noa.post(f"{PAGE}/{row.pk}/check")
    loop.drain(by=RUNNER)
    pages += [
        noa.get(address)
        for address in (PAGE, f"{PAGE}/{row.pk}", f"{PAGE}/{row.pk}/edit", "/settings/health")
    ]
    pages.append(signed_in("ivo").get("/audit/events"))
    said = StringIO()
    for command in (["connector", "list", "--json"], ["doctor", "--json"]):
        with suppress(SystemExit):
            call_command(*command, stdout=said)
    assert [page.status_code for page in pages] == [422, 409, 200, 200, 200, 200, 200]
    row.refresh_from_db()
    assert row.health["ok"] is False, "and it was tried"
    for where in (*map(text, pages), caplog.text, said.getvalue(), everything_stored()):
        assert CANARY not in where
    assert Answer.objects.filter(key="one-key").exists()
    assert password(row) == CANARY, "yet it is known"
    assert "Set on" in text(noa.get(f"{PAGE}/{row.pk}"))
