"""Personal text leaves the log when two admins say so, and the log can still be believed."""

import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client

from actioncenter.accounts.models import User
from actioncenter.actions import by_hand
from actioncenter.actions.by_hand import Intent
from actioncenter.actions.enums import ActionType
from actioncenter.audit import canonical, indexing, seals
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Redaction
from actioncenter.audit.words import words_of
from actioncenter.auditor import finding, redacting
from actioncenter.auditor.models import RedactionError, RedactionRequest
from actioncenter.settings.enums import Role
from tests import factories
from tests.audit.drafts import seal
from tests.audit.sealers import BOTH, ON_POSTGRES
from tests.auditor.aging import archive, wrong
from tests.auditor.redacted import FIELD, SECRET, action_of, admin, asked, redact, told

__all__ = ["archive"]
pytestmark = pytest.mark.usefixtures("archive")


@BOTH
def test_the_text_is_gone_and_everything_still_fits(shared_database: str) -> None:
    event = told()
    before = Event.objects.get(pk=event.pk)
    assert wrong() == []

    redact(event)

    after = Event.objects.get(pk=event.pk)
    assert (after.detail or {})["comment"] == "[redacted]"
    assert {**(after.detail or {}), "comment": SECRET} == before.detail
    kept = [name for name in canonical.FIELDS if name != "detail"]
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (after.chain, after.xid) == (before.chain, before.xid)
    assert SECRET not in after.canonical
    assert wrong() == []
    assert not any(bad.startswith("changed") for bad in wrong())


@BOTH
def test_the_text_is_nowhere_any_more(shared_database: str, client_of: Callable[[str], Client]) -> None:
    """Not in the words of the log, not in its pages, and not in what the action's own rows say in the same words."""
    event = told()
    action = action_of(event)
    ivo = client_of("ivo")
    pages = [
        f"/audit/events/{event.pk}",
        f"/audit/actions/{action.pk}",
        f"/action-center/actions/{action.pk}",
    ]
    wanted = finding.Wanted(words=tuple(words_of("Quistgaard")))
    assert all("Quistgaard" in ivo.get(page).content.decode() for page in pages)
    seal()
    indexing.fill()
    assert [row.pk for row in finding.page(Event.objects.all(), wanted).rows] == [event.pk]

    redact(event)

    assert not any("Quistgaard" in ivo.get(page).content.decode() for page in pages)
    assert finding.page(Event.objects.all(), wanted).rows == []
    assert action_of(event).decision_comment == "[redacted]"
    assert list(action.votes.values_list("comment", flat=True)) == ["[redacted]"]
    shown = ivo.get(pages[0]).content.decode()
    assert "Taken out" in shown
    assert "Not as it was written" not in shown
    assert "They asked for it." in shown


@BOTH
def test_the_same_words_of_somebody_else_stay_until_they_are_taken_out_too(shared_database: str) -> None:
    kim, mira = (factories.actor(factories.person(name)) for name in ("kim", "mira"))
    waiting = factories.waiting_action()
    intent = Intent(ActionType.RESTRICT_EXECUTION, waiting.targets.get().device)
    action = by_hand.take(intent, by=kim, comment=SECRET)
    action.approve(by=mira, comment=SECRET)
    seal()
    stream = Event.objects.filter(stream=f"action:{action.pk}")

    redact(stream.get(kind=Kind.ACTION_PROPOSED))
    action.refresh_from_db()
    assert (action.requested_comment, action.decision_comment) == ("[redacted]", SECRET)
    assert wrong() == []

    redact(stream.get(kind=Kind.ACTION_APPROVED))
    action.refresh_from_db()
    assert action.decision_comment == "[redacted]"
    assert wrong() == []


@ON_POSTGRES
def test_words_that_were_left_behind_would_find_it(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the index of words is forgotten."""
    event = told()
    indexing.fill()
    monkeypatch.setattr(indexing, "renew", lambda which: None)
    redact(event)
    indexing.fill()
    wanted = finding.Wanted(words=tuple(words_of("Quistgaard")))
    assert [row.pk for row in finding.page(Event.objects.all(), wanted).rows] == [event.pk]


@pytest.fixture
def client_of() -> Callable[[str], Client]:
    def signed_in(name: str) -> Client:
        client = Client()
        client.force_login(factories.person(name))
        return client

    return signed_in


@pytest.mark.django_db
def test_it_takes_two_admins_with_their_passwords() -> None:
    event = told()
    nobody_proved = factories.person("noa").actor()
    refused: list[tuple[str, Actor]] = [
        ("role", factories.actor(factories.person("ivo"))),
        ("role", factories.actor(factories.person("mira"))),
        ("role", Actor.command("audit redact")),
        ("reauthenticate", nobody_proved),
    ]
    for code, by in refused:
        with pytest.raises(RedactionError) as error:
            RedactionRequest.request(event.pk, [FIELD], by=by, reason="They asked for it.")
        assert error.value.code == code
    row = asked(event)
    for code, by in [*refused, ("second_person", admin("noa"))]:
        with pytest.raises(RedactionError) as error:
            redacting.approve(row, by=by)
        assert error.value.code == code
    assert SECRET in Event.objects.get(pk=event.pk).canonical
    assert not Redaction.objects.exists()


@pytest.mark.django_db
def test_what_cannot_be_asked_for() -> None:
    event = told()
    with transaction.atomic():
        factories.waiting_action()
    newest = Event.objects.latest("pk").pk
    row = asked(event)
    for code, number, fields, reason in (
        ("unknown", newest + 1000, [FIELD], "Why"),
        ("unsealed", newest, ["subject_name"], "Why"),
        ("open", event.pk, [FIELD], "Why"),
        ("fields", event.pk, ["actor_name"], "Why"),
        ("fields", event.pk, ["detail.fingerprint"], "Why"),
        ("fields", event.pk, [], "Why"),
        ("reason", event.pk, [FIELD], " "),
        ("reason", event.pk, [FIELD], "x" * 2001),
    ):
        with pytest.raises(RedactionError) as error:
            RedactionRequest.request(number, fields, by=admin("eva"), reason=reason)
        assert error.value.code == code
    row.reject(by=admin("eva"), reason="Needed in court.")
    with pytest.raises(RedactionError, match="decided already"):
        redacting.approve(row, by=admin("eva"))
    assert asked(event).pk > row.pk


@pytest.mark.django_db
def test_every_step_is_an_event() -> None:
    event = told()
    asked(event).reject(by=admin("eva"), reason="Needed in court.")
    redact(event)

    steps = Event.objects.filter(stream="redaction").order_by("seq")
    assert list(steps.values_list("kind", "actor_name", "subject")) == [
        (kind, name, f"event:{event.pk}")
        for kind, name in (
            (Kind.AUDIT_REDACTION_REQUESTED, "noa"),
            (Kind.AUDIT_REDACTION_REJECTED, "eva"),
            (Kind.AUDIT_REDACTION_REQUESTED, "noa"),
            (Kind.AUDIT_REDACTED, "eva"),
        )
    ]
    assert not any(SECRET in step.canonical for step in steps)


@pytest.mark.django_db
def test_a_request_that_nobody_made_isnt_carried_out() -> None:
    """Whoever holds the database can write its row, and can't write its event."""
    event = told()
    row = asked(event)
    RedactionRequest.objects.filter(pk=row.pk).update(fields=["subject_name"])
    with pytest.raises(RedactionError) as error:
        redacting.approve(RedactionRequest.objects.get(pk=row.pk), by=admin("eva"))
    assert error.value.code == "not_asked"


@BOTH
def test_of_two_redactions_of_an_event_the_newer_counts(shared_database: str) -> None:
    event = told()
    redact(event)
    redact(event, "subject_name")

    after = Event.objects.get(pk=event.pk)
    assert ((after.detail or {})["comment"], after.subject_name) == ("[redacted]", "[redacted]")
    assert wrong() == []


# By command, and what is taken out of the house


def command(monkeypatch: pytest.MonkeyPatch, password: str, *words: str) -> dict[str, Any]:
    monkeypatch.setattr("sys.stdin", StringIO(f"{password}\n"))
    out = StringIO()
    call_command("audit", "redact", *words, "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


@pytest.mark.django_db
def test_it_is_done_by_command(monkeypatch: pytest.MonkeyPatch) -> None:
    event = told()
    for name in ("noa", "eva"):
        User.objects.enrol(name, by=factories.SETUP, password=factories.PASSWORD, roles=[Role.ADMIN])
    words = (
        "request",
        str(event.pk),
        "--field",
        FIELD,
        "--reason",
        "Erasure.",
        "--as",
        "noa",
        "--password-stdin",
    )
    with pytest.raises(CommandError, match="not their password"):
        command(monkeypatch, "wrong", *words)

    row = command(monkeypatch, factories.PASSWORD, *words)
    assert (row["event"], row["fields"], row["state"], row["requested_by"]) == (
        event.pk,
        [FIELD],
        "waiting",
        "noa",
    )
    approve = ("approve", str(row["redaction"]), "--password-stdin", "--as")
    with pytest.raises(CommandError, match="can't approve it too"):
        command(monkeypatch, factories.PASSWORD, *approve, "noa")
    assert command(monkeypatch, factories.PASSWORD, *approve, "eva")["state"] == "approved"

    assert SECRET not in Event.objects.get(pk=event.pk).canonical
    (listed,) = command(monkeypatch, "", "list")["redactions"]
    assert (listed["decided_by"], listed["reason"]) == ("eva", "Erasure.")
    assert Event.objects.get(kind=Kind.AUDIT_REDACTED).actor_via == "command"
    assert Event.objects.filter(kind=Kind.SESSION_SIGN_IN_FAILED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_exports_and_packs_of_it_verify_elsewhere(tmp_path: Path) -> None:
    event = told()
    redact(event)
    export, pack, script = tmp_path / "log.jsonl", tmp_path / "A.zip", tmp_path / "check.py"
    call_command("audit", "export", "--out", str(export))
    call_command("audit", "pack", "--action", str(action_of(event).pk), "--out", str(pack))
    call_command("audit", "script", "--out", str(script))
    call_command("audit", "verify", "--file", str(export))
    with ZipFile(pack) as opened:
        opened.extractall(tmp_path / "pack")
    key = ["--public-key", seals.public_key(settings.SIGNING_KEY).hex()]

    for words in ([script, export, *key], [tmp_path / "pack" / "verify.py", *key]):
        done = subprocess.run(
            [sys.executable, "-I", *map(str, words)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert (
        "Text was taken out of 1 events"
        in subprocess.run(
            [sys.executable, "-I", str(script), str(export), *key],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    )
    assert not any("Quistgaard" in path.read_text() for path in (export, *(tmp_path / "pack").iterdir()))

    records = tmp_path / "pack" / "redactions.jsonl"
    for damage in (lambda text: "", lambda text: text.replace("user:", "usex:", 1)):
        whole = records.read_text()
        records.write_text(damage(whole))
        words = [sys.executable, "-I", str(tmp_path / "pack" / "verify.py"), *key]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.startswith("WRONG")) == (1, True)
        records.write_text(whole)
