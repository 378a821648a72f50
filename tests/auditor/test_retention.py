"""What is older than the rule says goes as a whole, was exported before, and what stays can still be believed."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import Action, Artefact, Vote
from actioncenter.audit import log, sealing, seals, signing, standalone
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Purge, Redaction, Seal
from actioncenter.audit.purges import PurgeText
from actioncenter.audit.trust import Trust
from actioncenter.auditor import exporting, purging
from actioncenter.auditor.models import RedactionRequest
from actioncenter.auditor.verification.whole import Audit
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings import anchoring, checkpoints
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup, LegalHold, Retention, RetentionError
from investigations.enums import InvestigationState
from investigations.models import Evidence, Investigation
from tests import factories
from tests.actions.conftest import estate, run
from tests.actions.directly import taken
from tests.audit.drafts import seal
from tests.auditor import lives
from tests.auditor.aging import BY, REAL, archive, purged, unguarded, wrong, years_pass
from tests.auditor.lives import Run, by
from tests.auditor.redacted import redact

__all__ = ["archive", "estate", "run"]
pytestmark = [REAL, pytest.mark.usefixtures("archive")]


def done(run: Run, estate: Estate) -> Action:
    """Sealed, as within a second in real life."""
    action = lives.done(run, estate)
    seal()
    return action


def archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.jsonl"), key=lambda path: int(path.stem.split("-")[1]))


def sound(file: Path) -> standalone.Result:
    result = standalone.verify_file(file, public_keys=signing.known(), audit_keys=[settings.AUDIT_KEY])
    assert result.problem is None, str(result.problem)
    return result


# Going


def test_all_goes_together_and_what_is_left_is_as_it_was_written(
    run: Run, estate: Estate, archive: Path
) -> None:
    old = done(run, estate)
    Investigation.objects.filter(pk=old.investigation_id).update(
        state=InvestigationState.REMEDIATED, ended_at=Now()
    )
    years_pass()
    new = factories.waiting_action().approve(by=by("mira"))
    events = Event.objects.filter(stream=f"action:{old.pk}").count()
    assert (wrong(), events > 3) == ([], True)

    assert purged() > 0

    assert not Action.objects.filter(pk=old.pk).exists()
    assert not Vote.objects.filter(action=old.pk).exists()
    assert not Event.objects.filter(stream=f"action:{old.pk}").exists()
    assert not Investigation.objects.filter(pk=old.investigation_id).exists()
    assert not Evidence.objects.filter(investigation=old.investigation_id).exists()
    assert Action.objects.filter(pk=new.pk).exists()
    assert wrong() == []
    (file,) = archives(archive)
    assert sound(file).events == PurgeText.read(Purge.objects.get().text).events > events
    assert Event.objects.filter(kind=Kind.RETENTION_PURGED, subject_name="Audit log").count() == 1


def test_streams_that_go_on_stay_provable_over_several_purges(
    run: Run, estate: Estate, archive: Path, tmp_path: Path
) -> None:
    for turn in range(3):
        done(run, estate)
        group = factories.group(f"Group {turn}")
        group.change_level(AutomationLevel.NONE, by=by("noa"))
        years_pass()
        factories.person("mira").choose_mail(False, by=BY)
        assert purged() > 0
        factories.person("mira").choose_mail(True, by=BY)
        assert wrong() == []
    assert len(archives(archive)) == Purge.objects.count() >= 3
    for file in archives(archive):
        sound(file)
    exporting.write(tmp_path / "rest.jsonl", by=BY)
    assert sound(tmp_path / "rest.jsonl").events == Event.objects.count()
    checkpoints.keep()
    result = standalone.verify_file(
        tmp_path / "rest.jsonl", public_keys=signing.known(), against=checkpoints.path()
    )
    assert result.problem is None


def test_whoever_trusts_the_first_key_believes_a_purge_under_a_later_one(
    run: Run, estate: Estate, archive: Path, settings: Any
) -> None:
    first = signing.known()[0]
    done(run, estate)
    years_pass()
    settings.SIGNING_KEY_FALLBACKS = [settings.SIGNING_KEY]
    settings.SIGNING_KEY = bytes(range(32))
    with transaction.atomic():
        sealing.hand_over(signing.known()[0])
    assert purged() > 0
    assert Purge.objects.get().key_id == seals.key_id(signing.known()[0]) != seals.key_id(first)
    assert [str(each) for each in Audit(Trust([first]), []).wrong()] == []
    with unguarded():
        Seal.objects.filter(text__startswith=seals.HANDOVER_HEADER).delete()
    assert "isn't trusted" in " ".join(str(each) for each in Audit(Trust([first]), []).wrong())


def test_nothing_goes_that_isnt_old_enough(run: Run, estate: Estate) -> None:
    done(run, estate)
    years_pass(timedelta(days=729))
    assert purged() == 0
    waits = Retention.change(by=BY, days=365)
    assert purged() == 0, "nobody has agreed yet"
    assert waits is not None
    waits.agree(by=by("noa"))
    assert purged() > 0


@pytest.mark.parametrize("held_up", [True, False])
def test_a_look_reads_no_more_than_it_needs(
    held_up: bool, run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One seal, however many lie behind it."""
    if held_up:
        factories.waiting_action()
    for _ in range(3):
        done(run, estate)
    years_pass()
    assert Seal.objects.count() > 3
    reads: list[int] = []

    def counted(before: Any, most: int) -> list[Seal]:
        found = old_seals(before, most)
        reads.append(len(found))
        return found

    old_seals = purging._old_seals
    monkeypatch.setattr(purging, "_old_seals", counted)
    assert (purging.is_due(), reads) == (not held_up, [1])


@pytest.mark.parametrize("why", ["undecided", "in force", "held", "investigation held", "touched since"])
def test_what_is_kept_keeps_its_whole_life(why: str, run: Run, estate: Estate) -> None:
    first = done(run, estate)
    if why == "in force":
        home = DeviceGroup.objects.get(name="Finance laptops")
        kept = taken(ActionType.ISOLATE_DEVICE, factories.device(in_group=home))
        run(kept)
        seal()
    elif why == "undecided":
        kept = factories.waiting_action()
    else:
        kept = done(run, estate)
    later = done(run, estate)
    years_pass()
    if why == "held":
        LegalHold.place(f"action:{kept.pk}", by=by("noa"), reason="Court order 7.")
    elif why == "investigation held":
        LegalHold.place(f"investigation:{kept.investigation_id}", by=by("noa"), reason="Court order 7.")
    elif why == "touched since":
        with transaction.atomic():
            log.record_many([Action.objects.get(pk=kept.pk).draft(Kind.ACTION_COMMENTED, by=by("mira"))])

    purged()

    assert not Action.objects.filter(pk=first.pk).exists()
    assert set(Action.objects.filter(pk__in=[kept.pk, later.pk]).values_list("pk", flat=True)) == {
        kept.pk,
        later.pk,
    }
    assert Event.objects.filter(stream=f"action:{kept.pk}", seq=1).exists()
    held_up = purging.prefix(purging.limits()[0]).held_up
    assert held_up.startswith(f"A-{kept.pk} is kept")
    assert wrong() == []


def test_an_undo_and_what_it_took_back_go_together(run: Run, estate: Estate) -> None:
    old, other = done(run, estate), done(run, estate)
    years_pass()
    young = factories.waiting_action()
    Action.objects.filter(pk=young.pk).update(undo_of=old)
    numbers = [old.pk, other.pk, young.pk]
    kept = purging.purging.kept(Action, numbers, purging.limits()[0])
    assert kept == dict.fromkeys([old.pk, young.pk], "not old enough")


def test_files_go_first_and_say_so(run: Run, estate: Estate) -> None:
    action = taken(ActionType.COLLECT_PACKAGE, factories.device(in_group=factories.group()))
    run(action)
    row = Artefact.objects.get()
    assert row.content()
    Artefact.objects.update(created_at=Now() - timedelta(days=31))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transaction, "on_commit", lambda call: call())
        assert purging.step(by=BY) == 1
    assert not Artefact.objects.exists()
    with pytest.raises(OSError, match="artefacts"):
        row.content()
    event = Event.objects.get(kind=Kind.RETENTION_PURGED)
    assert event.detail == {"artefacts": [{"action": action.pk, "name": row.name, "sha256": row.sha256}]}


def test_a_purge_that_is_cut_short_has_done_nothing(
    run: Run, estate: Estate, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = done(run, estate)
    years_pass()
    with monkeypatch.context() as broken:
        broken.setattr(purging.purging, "remove", lambda *of: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            purging.purge(purging.limits()[0], by=BY)
    assert (Action.objects.filter(pk=old.pk).exists(), Purge.objects.count(), wrong()) == (True, 0, [])
    assert purged() > 0
    assert (len(archives(archive)), wrong()) == (1, [])


def test_what_happens_meanwhile_makes_it_begin_anew(
    run: Run, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = done(run, estate)
    years_pass()
    real = purging.archive

    def slow(found: purging.Prefix) -> Any:
        LegalHold.place(f"action:{old.pk}", by=BY, reason="Court order 7.")
        return real(found)

    monkeypatch.setattr(purging, "archive", slow)
    with pytest.raises(purging.Refused, match="begins anew"):
        purging.purge(purging.limits()[0], by=BY)
    assert Action.objects.filter(pk=old.pk).exists()


def test_a_damaged_log_isnt_dropped(run: Run, estate: Estate) -> None:
    old = done(run, estate)
    years_pass()
    with unguarded():
        Event.objects.filter(stream=f"action:{old.pk}", seq=2).update(chain="0" * 64)
    with pytest.raises(purging.Refused, match="isn't what was written"):
        purging.purge(purging.limits()[0], by=BY)
    assert Action.objects.filter(pk=old.pk).exists()


def test_small_batches_end_where_no_later_seal_holds_a_lower_event(
    run: Run, estate: Estate, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        done(run, estate)
        seal()
    years_pass()
    monkeypatch.setattr(purging, "SEALS", 1)
    before = Seal.objects.count()
    assert purged() == before - 1 == Purge.objects.count()
    assert wrong() == []


# The gate


@pytest.mark.parametrize("table", ["event", "seal", "vote", "purge"])
def test_without_a_record_nothing_can_be_deleted(table: str, run: Run, estate: Estate) -> None:
    done(run, estate)
    years_pass()
    purged()
    done(run, estate)
    seal()
    same = {"event": "kind", "seal": "digest", "vote": "comment", "purge": "digest"}[table]
    rows = {"event": Event, "seal": Seal, "vote": Vote, "purge": Purge}[table].objects.all()
    assert rows.exists()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.delete()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.update(**{same: F(same)})


# The rule and the command


def command(*words: str) -> dict[str, Any]:
    out = StringIO()
    call_command("retention", *words, "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def test_the_command_tells_runs_and_holds(run: Run, estate: Estate) -> None:
    action = done(run, estate)
    years_pass()
    planned = command("run", "--dry-run")
    assert (planned["actions"], planned["held_up"], Purge.objects.count()) == (1, "", 0)
    assert command("hold", f"A-{action.pk}", "--reason", "Court order 7.")["holds"]
    assert command("run")["held_up"].startswith(f"A-{action.pk} is kept (legal hold)")
    assert Action.objects.filter(pk=action.pk).exists()
    assert command("release", f"A-{action.pk}", "--reason", "It is over.")["holds"] == {}
    assert command("run")["batches"] > 0
    assert not Action.objects.filter(pk=action.pk).exists()
    figures = {"days": 1095, "artefact_days": 60, "click_days": 365}
    assert command("set", "--days", "1095", "--artefact-days", "60", "--click-days", "365") == figures
    waits = {"waits_for_an_admin": "365 days, files 60 days, clicks 365 days"}
    assert command("set", "--days", "365") == figures | waits
    kinds = set(Event.objects.filter(stream="retention").values_list("kind", flat=True))
    assert kinds == {Kind.HOLD_PLACED, Kind.HOLD_RELEASED, Kind.RETENTION_PURGED} | {
        Kind.SETTING_CHANGED,
        Kind.RETENTION_SHORTENING_ASKED,
    }


@pytest.mark.parametrize(
    "words",
    [
        ["set", "--days", "179"],
        ["set"],
        ["hold", "A-1", "--reason", " "],
        ["release", "A-1", "--reason", "x"],
    ],
)
def test_the_command_refuses(words: list[str]) -> None:
    with pytest.raises(CommandError):
        command(*words)


def test_only_an_admin_who_gave_the_password_changes_the_rule() -> None:
    for actor, code in ((by("mira"), "role"), (factories.person("noa").actor(), "reauthenticate")):
        with pytest.raises(RetentionError) as refused:
            Retention.change(by=actor, days=365)
        assert refused.value.code == code


def test_a_host_that_was_away_doesnt_take_it_for_a_restored_database(run: Run, estate: Estate) -> None:
    done(run, estate)
    state = anchoring.examine()
    anchoring.keep(state)
    event = anchoring.newest_event()[0]
    years_pass()
    row = anchoring.Installation.current()
    known = anchoring.Anchor(epoch=row.epoch, event=event, chain="c" * 64)
    assert "another one" in anchoring._gone_back(row, known)
    assert purged() > 0
    assert anchoring._gone_back(row, known) == ""
    beyond = anchoring.Anchor(epoch=row.epoch, event=10**6, chain="c" * 64)
    assert "not in the database" in anchoring._gone_back(row, beyond)


def test_a_redaction_goes_with_its_event_and_the_archive_has_it(
    run: Run, estate: Estate, archive: Path
) -> None:
    old = done(run, estate)
    years_pass()
    event = Event.objects.get(stream=f"action:{old.pk}", kind=Kind.ACTION_APPROVED)
    redact(event)
    assert wrong() == []

    assert purged() > 0

    assert not Redaction.objects.exists()
    assert not RedactionRequest.objects.exists()
    (file,) = archives(archive)
    assert (sound(file).redacted, wrong()) == (1, [])
    assert "[redacted]" in file.read_text()
