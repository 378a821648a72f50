"""Each key is rotated while the product works: what was made before stays good, and what an old key makes later doesn't."""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.conf import settings
from django.core.management import CommandError
from django.db import connection, transaction

from actioncenter import keyring, keys
from actioncenter.audit import canonical, log, reading, seals, signing, standalone, triggers
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Seal
from actioncenter.audit.verify import first_bad_row
from actioncenter.ops.doctor import hosts
from actioncenter.ops.doctor import sealing as doctor
from actioncenter.ops.management import rotating
from actioncenter.ops.management.rotating import Key, NotNow, NotYet
from actioncenter.settings import checkpoints, describing
from tests.actions.real_processes import migrated_file, shared_database
from tests.audit.drafts import draft, seal
from tests.audit.sealers import BOTH
from tests.ops.rotations import BY, EACH, ON_SQLITE, House, command, described, house, rotate, work

__all__ = ["house", "migrated_file", "shared_database"]


@EACH
def test_all_is_verified_over_a_rotation(name: str, house: House, tmp_path: Path) -> None:
    work()
    before, after = rotate(name)
    work()
    rotating.retire(Key(name), before, by=BY)
    work()

    code, said = command("audit", "verify", "--public-key", house.public.hex())
    assert (code, before != after) == (0, True), said
    assert command("audit", "verify")[0] == 0
    command("audit", "export", "--out", str(tmp_path / "export"))
    held = [settings.AUDIT_KEY, *settings.AUDIT_KEYS_RETIRED]
    alone = standalone.verify_file(
        tmp_path / "export", public_keys=[house.public], audit_keys=held, against=checkpoints.path()
    )
    assert alone.problem is None
    kinds = list(Event.objects.filter(stream=f"key:{name}").order_by("seq").values_list("kind", flat=True))
    assert kinds == [Kind.KEY_ADDED, Kind.KEY_ROTATED, Kind.KEY_RETIRED]


@BOTH
def test_a_pack_is_verified_with_the_first_key(house: House, tmp_path: Path) -> None:
    work()
    rotate("signing")
    rotate("audit")
    work()
    until = datetime.now(UTC).isoformat()
    said = command(
        "audit", "pack", "--since", "2020-01-01", "--until", until, "--out", str(tmp_path / "pack.zip")
    )
    with ZipFile(tmp_path / "pack.zip") as zipped:
        zipped.extractall(tmp_path / "pack")
    words = [sys.executable, "-I", "verify.py", "--public-key", house.public.hex()]
    done = subprocess.run(words, cwd=tmp_path / "pack", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), (said, done.stdout)
    assert command("audit", "key")[1].strip() == house.public.hex(), "all others follow from it"


@EACH
def test_a_crash_between_the_log_and_the_files_does_no_harm(
    name: str, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    work()
    rotating.add(Key(name), by=BY)

    def crash(*_: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as dying:
        dying.setattr(keys, "switch", crash)
        with pytest.raises(SystemExit):
            rotating.rotate(Key(name), by=BY)
    work()
    assert (command("audit", "verify")[0], describing.differing()) == (0, [])

    rotating.rotate(Key(name), by=BY)
    work()
    assert (command("audit", "verify")[0], describing.differing()) == (0, [])
    assert Event.objects.filter(stream=f"key:{name}", kind=Kind.KEY_ROTATED).count() == 1


@pytest.mark.parametrize("name", rotating.FILES)
def test_a_crash_between_two_renames_leaves_a_set_that_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = rotating.FILES[name]
    first = keys.load(tmp_path, file)
    keys.stage(tmp_path, file)
    coming = keys.ring(tmp_path, file).coming

    def power_fails(*_: object) -> None:
        raise OSError("power")

    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", power_fails)
        with pytest.raises(OSError, match="power"):
            keys.switch(tmp_path, file, "1st")
    assert keys.ring(tmp_path, file) == keys.Ring(first, coming)

    keys.switch(tmp_path, file, "1st")
    assert keys.ring(tmp_path, file) == keys.Ring(coming or b"", None, (first,))


@EACH
def test_a_host_without_the_next_key_holds_it_up_and_one_with_it_follows(name: str, house: House) -> None:
    described("web")
    key, here, other = Key(name), house.folder, house.another("other")
    work()
    rotating.add(key, by=BY)
    with pytest.raises(NotYet, match=r"Without the next key: web"):
        rotating.rotate(key, by=BY)
    assert key.ring.coming

    (other / f"{key.file}.next").write_bytes((here / f"{key.file}.next").read_bytes())
    described("web")
    after = rotating.rotate(key, by=BY)
    house.move(other)
    work()
    assert (describing.differing(), command("audit", "verify")[0]) == ([], 0)
    described("web")
    with pytest.raises(NotNow, match="no old key"):
        rotating.retire(key, "0" * 16, by=BY)
    assert rotating.rotate(key, by=BY) == after
    assert key.rotated_to() == after == key.id_of(key.ring.current)
    assert Event.objects.filter(stream=key.stream, kind=Kind.KEY_ROTATED).count() == 1


@ON_SQLITE
def test_no_key_is_retired_that_somebody_writes_with(house: House) -> None:
    described("runner")
    before = Key("audit").id_of(settings.AUDIT_KEY)
    rotating.add(Key("audit"), by=BY)
    described("runner")
    rotating.rotate(Key("audit"), by=BY)
    with pytest.raises(NotYet, match="Not yet with the current key: runner"):
        rotating.retire(Key("audit"), before, by=BY)
    described("runner")
    rotating.retire(Key("audit"), before, by=BY)


@ON_SQLITE
def test_processes_that_read_the_folder_later_are_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "SETTLE", timedelta(hours=1))
    rotating.add(Key("audit"), by=BY)
    described("web")
    with pytest.raises(NotYet, match="may not have read"):
        rotating.rotate(Key("audit"), by=BY)
    rotating.rotate(Key("audit"), by=BY, anyway=True)


def forged(key: bytes, stream: str = "group:1", kind: str = "action.approved", **fields: Any) -> Event:
    """An event that fits, by somebody who has a key and the table."""
    last = Event.objects.filter(stream=stream).order_by("-seq")[0]
    values = {**canonical.read(last.canonical), "seq": last.seq + 1, "kind": kind, **fields}
    text = canonical.render(values)
    chain = canonical.link(key, stream, last.chain, text)
    return Event.objects.create(**values, canonical=text, chain=chain)


@BOTH
def test_a_stolen_audit_key_is_worth_nothing_once_it_is_retired(house: House) -> None:
    stolen = settings.AUDIT_KEY
    work()
    before, _ = rotate("audit")
    rotating.retire(Key("audit"), before, by=BY)
    assert len(reading.genuine(["group:1"], [Kind.ACTION_APPROVED])) == 1, "what it made before stays good"

    row = forged(stolen)

    bad = first_bad_row()
    assert bad is not None
    assert (bad.id, bad.message) == (row.pk, f"it was chained with the key {before}, which had been retired")
    assert len(reading.genuine(["group:1"], [Kind.ACTION_APPROVED])) == 1


@BOTH
def test_a_thief_cannot_move_the_limit(house: House) -> None:
    """The retirement is deleted, and another one is written with the stolen key."""
    stolen = settings.AUDIT_KEY
    work()
    before, _ = rotate("audit")
    rotating.retire(Key("audit"), before, by=BY)
    triggers.remove(connection)
    Event.objects.filter(stream="key:audit", kind=Kind.KEY_RETIRED).delete()
    forged(stolen, "key:audit", kind=Kind.KEY_RETIRED.value)
    forged(stolen)

    assert reading.genuine(["group:1"], [Kind.ACTION_APPROVED]) == []


@ON_SQLITE
def test_a_key_that_the_log_names_and_nobody_has_is_said(house: House) -> None:
    work()
    before, _ = rotate("audit")
    (house.folder / f"audit.key.old.{before}").unlink()
    keyring.refresh()
    bad = first_bad_row()
    assert bad is not None
    assert bad.message.endswith(f"the log names keys that aren't here: {before}")


@ON_SQLITE
def test_a_key_that_is_copied_over_another_is_taken_up(house: House) -> None:
    work()
    (house.folder / "audit.key").write_bytes(b"x" * 32)
    assert keyring.refresh()
    assert settings.AUDIT_KEY == b"x" * 32
    assert not keyring.refresh()


@ON_SQLITE
def test_a_host_without_the_signing_key_seals_nothing(house: House) -> None:
    other = house.another("other")
    work()
    rotate("signing")
    house.move(other)
    with transaction.atomic():
        log.record_many([draft("group:1")])
    with pytest.raises(signing.KeyMissing, match="Copy it here"):
        seal()
    assert [finding.code for finding in doctor.signable()] == ["seals.unsigned"]
    assert describing.differing() == ["signing.key"]
    with pytest.raises(NotNow, match=r"copy signing\.key from another host"):
        rotating.add(Key("signing"), by=BY)


@BOTH
def test_a_lost_signing_key_is_replaced_and_everybody_sees_it(house: House, tmp_path: Path) -> None:
    work()
    house.move(tmp_path / "new keys")
    key = Key("signing")
    with pytest.raises(NotNow, match="became of"):
        rotating.sign_anew(by=BY, reason=" ")
    mine = rotating.sign_anew(by=BY, reason="The disk is gone")
    with pytest.raises(NotNow, match="Nothing is lost"):
        rotating.sign_anew(by=BY, reason="Again")
    with transaction.atomic():
        log.record_many([draft("group:1")])
    seal()

    told = key.told(Kind.KEY_ROTATED)[0]["detail"]
    assert (told["id"], told["lost"], told["from"]) == (mine, True, seals.key_id(house.public)) or told[
        "lost"
    ]
    assert Seal.objects.order_by("-number")[0].key_id == mine
    code, said = command("audit", "verify", "--public-key", house.public.hex(), "--json")
    assert (code, json.loads(said)["ok"]) == (1, False)


@ON_SQLITE
def test_a_plant_that_signs_with_its_own_next_key_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody forgets the handover: the file is changed and nothing is said in the log."""
    work()
    monkeypatch.setattr(signing, "key_after", lambda last: settings.SIGNING_KEY)
    settings.SIGNING_KEY = b"n" * 32
    work()
    code, said = command("audit", "verify", "--public-key", house.public.hex())
    assert code == 1
    assert "no trusted key handed over to it" in said


@ON_SQLITE
def test_after_a_loss_that_was_accepted_the_new_key_can_be_rotated(house: House, tmp_path: Path) -> None:
    work()
    rotate("audit")
    house.move(tmp_path / "new keys")
    describing.take_for_the_installations(by=BY, comment="The disk is gone")
    rotate("audit")
    assert describing.differing() == []


@ON_SQLITE
def test_a_forged_event_without_facts_breaks_nothing(house: House) -> None:
    stolen = settings.AUDIT_KEY
    work()
    before, _ = rotate("audit")
    rotating.retire(Key("audit"), before, by=BY)
    forged(stolen, "key:audit", kind=Kind.KEY_RETIRED.value, detail=["id"])
    row = forged(stolen)
    bad = first_bad_row()
    assert bad is not None
    assert bad.id == row.pk


@ON_SQLITE
def test_nothing_prints_a_key(house: House, caplog: pytest.LogCaptureFixture) -> None:
    said = ""
    for name in rotating.FILES:
        before = Key(name).id_of(Key(name).ring.current)
        said += command("keys", "add", name)[1] + command("keys", "list", "--json")[1]
        said += command("keys", "rotate", name, "--wait", "0", "--json")[1]
        said += command("keys", "list")[1]
        said += command("keys", "retire", name, before, "--wait", "0")[1]
        said += command("keys", "list")[1] + command("audit", "verify")[1]
    said += "".join(Event.objects.values_list("canonical", flat=True)) + caplog.text
    for path in house.folder.iterdir():
        raw = path.read_bytes()
        for form in (raw, raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            assert form not in said.encode() or path.name.startswith("signing.key.retired."), path.name
    assert "(command line, keys)" in Event.objects.filter(kind=Kind.KEY_ROTATED)[0].actor_name


@ON_SQLITE
def test_the_command_says_what_is_missing_and_changes_nothing(house: House) -> None:
    described("web")
    (house.folder / "audit.key.next").write_bytes(b"n" * 32)
    with pytest.raises(CommandError, match="Nothing was changed"):
        command("keys", "rotate", "audit", "--wait", "0")
    assert [finding.code for finding in hosts.rotations()] == ["keys.unfinished"]
    assert not Event.objects.filter(kind=Kind.KEY_ROTATED).exists()
    rows: list[dict[str, Any]] = json.loads(command("keys", "list", "--json")[1])["keys"]
    assert [row["name"] for row in rows if row["next"]] == ["audit"]
