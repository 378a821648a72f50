"""`manage.py audit`: what it says, and with which status."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from actioncenter.audit import chaining, copies, log, seals, standalone, triggers
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings import checkpoints
from actioncenter.settings.models import Installation
from tests.audit.drafts import MIRA, draft, seal

FOREIGN = seals.public_key(b"f" * 32).hex()


@pytest.fixture
def lives(transactional_db: None) -> None:
    """Two groups with five and two events, and the triggers out of the way."""
    with transaction.atomic():
        for kind in (Kind.ACTION_PROPOSED, Kind.ACTION_APPROVED, Kind.ACTION_QUEUED, Kind.ACTION_STARTED):
            log.record(kind, by=MIRA, subject="group:1", detail={})
        log.record_many([draft("group:1"), draft("group:2"), draft("group:2")])
    triggers.remove(connection)


def verify(*words: str) -> int:
    try:
        call_command("audit", "verify", *words)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def edit(**fields: Any) -> None:
    Event.objects.filter(stream="group:1", seq=2).update(**fields)


def test_all_is_well(lives: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify() == 0

    assert capsys.readouterr().out == (
        "7 events in 2 streams are as written.\n"
        "0 of them are held by 0 seals, 7 wait for one.\n"
        "No copy of a seal was compared: whether the log was cut back as a whole can't be told.\n"
    )


def test_all_is_sealed_and_copied(lives: None, capsys: pytest.CaptureFixture[str]) -> None:
    seal()
    checkpoints.keep()

    assert verify() == 0

    assert capsys.readouterr().out == (
        "7 events in 2 streams are as written.\n7 of them are held by 1 seals.\n1 copies of seals agree.\n"
    )


def test_the_first_bad_row_is_named(lives: None, capsys: pytest.CaptureFixture[str]) -> None:
    edit(actor_name="Tom Reyes")

    assert verify() == 1

    row = Event.objects.get(stream="group:1", seq=2).pk
    assert capsys.readouterr().out == (
        f"edited: group:1 number 2 (row {row}): columns differ from the text: actor_name.\n"
    )


def test_programs_are_answered(lives: None, capsys: pytest.CaptureFixture[str]) -> None:
    seal()
    verify("--json")
    edit(actor_name="Tom Reyes")
    assert verify("--json") == 1

    well, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert well == {
        "ok": True, "events": 7, "streams": 2, "seals": 1, "sealed": 7, "unsealed": 0, "copies": 0, "untrusted_copies": 0,
        "first_bad": None, "audit_keys": {chaining.known()[0]: 7}, "handed_over_to": [], "archives_missing": [],
        "recorded": True,
    }  # fmt: skip
    assert (bad["ok"], bad["first_bad"]["fault"], bad["first_bad"]["seq"]) == (False, "edited", 2)


def test_it_is_an_event_with_what_came_of_it(lives: None, tmp_path: Path) -> None:
    def last() -> Event:
        return Event.objects.filter(kind=Kind.AUDIT_VERIFIED).latest("pk")

    assert verify() == 0
    assert (last().actor, last().subject) == ("command:audit verify", "audit")
    assert last().after == {
        "result": "SOUND",
        "counts": {**ALL_COUNTS, "events": 7, "streams": 2, "unsealed": 7},
    }
    with pytest.raises(CommandError):
        verify("--against", str(tmp_path / "none"))
    assert (last().after or {})["result"] == "FAILED"
    edit(actor_name="Tom Reyes")
    assert verify() == 1
    assert ((last().after or {})["result"], (last().detail or {})["first_bad"]["seq"]) == ("WRONG", 2)


def test_a_database_that_only_reads_is_verified_all_the_same(
    lives: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Installation.current()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA query_only = ON")
        else:
            cursor.execute("SET default_transaction_read_only = on")
    try:
        assert verify() == 0
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = OFF" if connection.vendor == "sqlite" else "RESET ALL")
    assert "no event tells of this verification" in capsys.readouterr().out
    assert not Event.objects.filter(kind=Kind.AUDIT_VERIFIED).exists()


ALL_COUNTS = dict.fromkeys(
    ("events", "streams", "seals", "sealed", "unsealed", "copies", "untrusted_copies"), 0
)


def test_an_emptied_log_is_seen_by_a_copy(
    lives: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seal()
    copies.keep(tmp_path / "kept.jsonl")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_event")
        cursor.execute("DELETE FROM audit_seal")
    assert verify() == 0

    assert verify("--against", str(tmp_path / "kept.jsonl")) == 1
    assert "cut back: seal 1: a copy knows this seal, made 20" in capsys.readouterr().out


def test_a_key_of_somebody_else_is_not_trusted(lives: None, capsys: pytest.CaptureFixture[str]) -> None:
    seal()

    assert verify("--public-key", FOREIGN) == 1

    assert "broken seal: seal 1: its key" in capsys.readouterr().out


def test_the_public_key_can_be_kept_elsewhere(
    lives: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seal()
    call_command("audit", "key")
    line = capsys.readouterr().out
    (tmp_path / "key").write_text(line)

    assert line.strip() == seals.public_key(settings.SIGNING_KEY).hex()
    assert verify("--public-key", str(tmp_path / "key")) == 0


@pytest.mark.parametrize("key", ["", "12", "not hex", "00" * 31])
def test_what_is_no_key_is_refused(db: None, key: str) -> None:
    with pytest.raises(CommandError, match="public"):
        call_command("audit", "verify", "--public-key", key)


def test_copies_that_cannot_be_read_are_said(db: None, tmp_path: Path) -> None:
    (tmp_path / "kept.jsonl").write_text("{}\n")

    for name in ("kept.jsonl", "none.jsonl"):
        with pytest.raises(CommandError, match=name) as found:
            call_command("audit", "verify", "--against", str(tmp_path / name))
        assert found.value.returncode == 2


def export(path: Path) -> None:
    call_command("audit", "export", "--out", str(path))


def test_an_export_can_be_checked_with_and_without_the_product(
    lives: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, key = tmp_path / "log.jsonl", seals.public_key(settings.SIGNING_KEY)
    export(path)

    assert capsys.readouterr().out == f"8 events and 1 seals written to {path}.\n"
    assert verify("--file", str(path)) == 0
    alone = standalone.verify_file(path, public_keys=[key], against=checkpoints.path())
    assert (alone.problem, alone.seals, alone.events, alone.unsealed) == (None, 1, 8, 0)


def test_a_changed_export_is_seen(lives: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.jsonl"
    export(path)
    path.write_text(path.read_text().replace("Mira", "Nora", 1))

    assert verify("--file", str(path)) == 1
    assert "WRONG: leaf: event " in capsys.readouterr().out


def test_an_export_overwrites_nothing_and_is_an_event(lives: None, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    export(path)
    before = path.read_bytes()

    with pytest.raises(CommandError, match="written"):
        export(path)

    assert path.read_bytes() == before
    event = Event.objects.get(kind=Kind.EXPORT_MADE)
    assert (event.actor, event.detail) == ("command:audit export", {"file": "log.jsonl"})


def test_what_is_no_export_is_said(db: None, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("{}\n")

    with pytest.raises(CommandError, match="no export of the audit log") as found:
        call_command("audit", "verify", "--file", str(tmp_path / "log.jsonl"))
    assert found.value.returncode == 2
