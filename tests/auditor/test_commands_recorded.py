"""What is done on the server leaves an event as well: every command is spoken for."""

import ast
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from pytest_django import Settings

from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.ops.management import rotating
from actioncenter.settings.models import ConnectorInstance, Installation
from investigations.models import Binding
from tests import factories
from tests.actions.conftest import estate, run
from tests.auditor.commanded import ELSEWHERE, READ_ONLY, RECORDED, verbs
from tests.auditor.lives import Run
from tests.auditor.test_everything_recorded import everything, refuse, signed_in
from tests.ops.rotations import House
from tests.settings.stopping import stop_file

__all__ = ["estate", "run", "stop_file"]
pytestmark = pytest.mark.django_db


UNRECORDED: Final = {"audit verify", "stop"}
"""What they do without a log as well: they say that nobody will read of it, or stop everything by a file."""
STAGED: Final = ".key.next"
"""Nobody uses such a key before the log tells of it."""


def spoken_for(words: str) -> str:
    """The verb that these words call."""
    return max((verb for verb in verbs() if f"{words} ".startswith(f"{verb} ")), key=len)


def test_every_command_says_what_it_leaves() -> None:
    recorded = {spoken_for(words) for words in RECORDED}
    lists = [recorded, {*ELSEWHERE}, {*READ_ONLY}]
    assert set(verbs()) == set().union(*lists), "say in tests/auditor/commanded.py which events it leaves"
    assert sum(map(len, lists)) == len(set().union(*lists)), "and say it once"


@pytest.mark.parametrize("node", sorted(set(ELSEWHERE.values())))
def test_the_tests_that_run_the_others_are_there(node: str) -> None:
    path, _, name = node.partition("::")
    source = (settings.BASE_DIR / path).read_text(encoding="utf-8")
    (found,) = [each for each in ast.parse(source).body if getattr(each, "name", "") == name]
    assert {"Event", "kinds"} & {each.id for each in ast.walk(found) if isinstance(each, ast.Name)}, (
        "sees no event"
    )


@pytest.fixture
def house(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """All that commands write is below one folder."""
    for name in ("CHECKPOINTS_DIR", "SNAPSHOTS_DIR"):
        setattr(settings, name, tmp_path / name.lower())
    monkeypatch.setattr(rotating, "SETTLE", rotating.SETTLE * 0)
    return House(settings, tmp_path / "keys")


@pytest.mark.parametrize("words", RECORDED)
def test_what_a_command_does_leaves_its_events_or_isnt_done(
    words: str,
    run: Run,
    estate: Estate,
    stop_file: Path,
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factories.person("mira")
    Installation.current()
    told = RECORDED[words]
    said = words.format(folder=tmp_path, made=told.prepare(run, estate)).split()
    before, files, newest = everything(), written(tmp_path), Event.objects.latest("pk").pk
    with monkeypatch.context() as broken:
        broken.setattr(log, "_chained", refuse)
        assert not called(said, broken) or spoken_for(words) in UNRECORDED
    stop_file.unlink(missing_ok=True)
    assert {name: rows for name, rows in everything().items() if rows != before[name]} == {}
    assert {name for name in written(tmp_path).keys() ^ files.keys() if not name.endswith(STAGED)} == set()

    called(said, monkeypatch, strictly=True)
    events = Event.objects.filter(pk__gt=newest)
    assert told.leaves <= {event.kind for event in events}
    assert {event.actor_via for event in events if event.kind in told.leaves} == {"command"}


def called(words: list[str], patch: pytest.MonkeyPatch, *, strictly: bool = False) -> str:
    """What it says; "" where it fails."""
    out = StringIO()
    patch.setattr("sys.stdin", StringIO(f"{factories.PASSWORD}\n"))
    with suppress(*(() if strictly else (CommandError, DatabaseError))):
        call_command(*words, stdout=out)
        return out.getvalue()
    return out.getvalue()


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_snapshot_that_is_printed_says_which(
    run: Run, estate: Estate, house: House, stop_file: Path
) -> None:
    number = RECORDED["snapshot {made}"].prepare(run, estate)
    call_command("snapshot", number, stdout=StringIO())
    event = Event.objects.get(kind=Kind.EXPORT_MADE)
    sealed = Event.objects.get(kind=Kind.SWITCH_SEALED)
    assert (event.subject, event.detail["file"]) == (f"stop:{number}", sealed.detail["file"])
    call_command("snapshot", stdout=StringIO())
    assert Event.objects.filter(kind=Kind.EXPORT_MADE).count() == 1, "the list names rows of the log alone"


def test_the_block_list_in_use_tells_its_place_and_what_it_reaches() -> None:
    call_command("feeds", "enable", stdout=StringIO())
    made = ConnectorInstance.objects.get(kind="feeds")
    added, bound, _ = Event.objects.filter(subject=f"connector:{made.pk}").order_by("pk")
    assert added.after["priority"] == made.priority == 50
    assert bound.before, bound.after == (
        {"tenant": None, "mailboxes": 0},
        {"tenant": "tenant", "mailboxes": 0},
    )
    assert Binding.objects.get(instance=made).tenant


@pytest.mark.parametrize("command", ["createsuperuser", "changepassword"])
def test_no_command_of_djangos_changes_people_behind_our_back(command: str) -> None:
    with pytest.raises(CommandError, match="person"):
        call_command(command)


def test_a_new_password_ends_every_session() -> None:
    mira = signed_in("mira")
    assert mira.get("/notices").status_code == 200
    call_command("person", "password", "mira", stdout=StringIO())
    assert mira.get("/notices").status_code == 302
