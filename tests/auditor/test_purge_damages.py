"""A beginning that was cut off without a purge, or with one that was tampered with, is found and named."""

import json
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import override_settings

from actioncenter.actions.execution import auditing
from actioncenter.audit import canonical, seals
from actioncenter.audit.models import Event, Purge, Seal
from actioncenter.audit.purges import PurgeText
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings import checkpoints
from actioncenter.settings.models import Stop
from tests.actions.conftest import RUNNER, estate, run
from tests.auditor.aging import REAL, archive, purged, unguarded, wrong, years_pass
from tests.auditor.lives import Run
from tests.auditor.test_retention import done

__all__ = ["archive", "estate", "run"]
pytestmark = [REAL, pytest.mark.usefixtures("archive")]
FORGER = b"somebody else's key of 32 bytes."


@pytest.fixture
def cut(run: Run, estate: Estate) -> Purge:
    """A log whose beginning was dropped by rule, with several seals after it."""
    done(run, estate)
    years_pass()
    done(run, estate)
    checkpoints.keep()
    purged()
    done(run, estate)
    checkpoints.keep()
    assert wrong() == []
    return Purge.objects.get()


def rewritten(purge: Purge, key: bytes = b"", **said: Any) -> None:
    text = PurgeText.read(purge.text)
    new = PurgeText(**{name: said.get(name, getattr(text, name)) for name in PurgeText.__slots__}).render()
    with override_settings(SIGNING_KEY=key or settings.SIGNING_KEY):
        signature = seals.sign(settings.SIGNING_KEY, new)
        key_id = seals.key_id(seals.public_key(settings.SIGNING_KEY))
    columns = {"last_seal": said.get("seal", text.seal), "last_event": said.get("last", text.last)}
    Purge.objects.filter(pk=purge.pk).update(
        text=new, digest=seals.digest(new), signature=signature, key_id=key_id, **columns
    )


def forged(purge: Purge) -> None:
    rewritten(purge, FORGER, sha256="0" * 64)


def another_file(purge: Purge) -> None:
    """Signed with the true key, but the log told of another."""
    rewritten(purge, sha256="0" * 64)


def columns_moved(purge: Purge) -> None:
    Purge.objects.update(last_event=purge.last_event + 5)


def record_gone(purge: Purge) -> None:
    purge.delete()


def one_seal_too_many(purge: Purge) -> None:
    first = Seal.objects.order_by("number").first()
    assert first is not None
    Event.objects.filter(pk__in=seals.SealText.read(first.text).ids).delete()
    first.delete()


def an_event_too_many(purge: Purge) -> None:
    Event.objects.order_by("pk").first().delete()  # type: ignore[union-attr]


def event_not_told(purge: Purge) -> None:
    Event.objects.filter(kind="retention.purged").delete()


def put_back(purge: Purge) -> None:
    """What was dropped, at a new place, as the archive has it."""
    line = next(line for line in archived() if line.get("event") and "kind:s:12:user.created" in line["text"])
    values = canonical.read(line["text"])
    Event.objects.create(**values, canonical=line["text"], chain=line["chain"])


def archived() -> list[dict[str, Any]]:
    (file,) = Path(settings.ARCHIVE_DIR).glob("*/*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


DAMAGES: dict[Callable[[Purge], None], str] = {
    forged: "bad purge: purge 1: its key",
    another_file: "bad purge: purge 1: no event of the log tells of it",
    columns_moved: "bad purge: purge 1: its columns and its text disagree",
    record_gone: "deleted: seal 1: it",
    one_seal_too_many: "it is missing",
    an_event_too_many: "a sealed event is gone",
    event_not_told: "bad purge: purge 1: no event of the log tells of it",
    put_back: "an event is older than all that was left",
}


def test_each_damage_is_named(cut: Purge, subtests: pytest.Subtests) -> None:
    for damage, said in DAMAGES.items():
        with subtests.test(damage.__name__), transaction.atomic():
            with unguarded():
                damage(cut)
            found = wrong()
            assert any(said in each for each in found), found
            transaction.set_rollback(True)
    assert wrong() == []


def verified() -> dict[str, Any]:
    out = StringIO()
    with suppress(SystemExit):
        call_command("audit", "verify", "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def test_an_archive_that_isnt_there_is_said_and_one_that_is_another_is_named(cut: Purge) -> None:
    (file,) = Path(settings.ARCHIVE_DIR).glob("*/*.jsonl")
    assert (verified()["ok"], verified()["archives_missing"]) == (True, [])
    file.write_text(file.read_text() + "\n")
    assert verified()["first_bad"]["fault"] == "archive changed"
    file.unlink()
    assert (verified()["ok"], verified()["archives_missing"]) == (True, [file.name])


def test_a_forged_record_stops_everything_within_a_minute(cut: Purge) -> None:
    assert not auditing.is_broken()
    with unguarded():
        forged(cut)
    assert auditing.is_broken()
    assert auditing.stop_everything(RUNNER)
    assert "Purge 1: its key" in Stop.objects.get().reason


def test_a_row_written_by_hand_opens_the_way_and_leaves_a_trace(cut: Purge) -> None:
    last = Event.objects.latest("pk").pk
    Purge.objects.create(
        number=2, at=cut.at, last_seal=cut.last_seal, last_event=last, actions=",", text=cut.text, digest=cut.digest,
        key_id=cut.key_id, signature=cut.signature,
    )  # fmt: skip
    Event.objects.filter(pk=last).delete()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Purge.objects.get(number=2).delete()
    assert any("bad purge: purge 2: its columns and its text disagree" in said for said in wrong())
