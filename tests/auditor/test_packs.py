"""Evidence packs: read and checked by somebody who has nothing but the file."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models.functions import Now

from actioncenter.actions.models import Action
from actioncenter.audit import log, seals
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from investigations.enums import InvestigationState
from investigations.models import Investigation
from tests import factories
from tests.audit.drafts import seal
from tests.auditor.aging import archive, purged, years_pass

__all__ = ["archive"]

pytestmark = pytest.mark.django_db(transaction=True)
KEY = seals.public_key(settings.SIGNING_KEY).hex()
HOSTILE = "<script>alert(1)</script>\u202egpj.exe"


@pytest.fixture
def action() -> Action:
    mira = factories.person("mira").actor()
    return factories.waiting_action().approve(by=mira, comment=HOSTILE)


def pack(to: Path, *what: str) -> Path:
    seal()
    call_command("audit", "pack", *what, "--out", str(to))
    return to


def of(action: Action, to: Path) -> Path:
    return pack(to, "--action", str(action.pk))


def opened(file: Path) -> Path:
    folder = file.with_suffix("")
    with ZipFile(file) as zipped:
        zipped.extractall(folder)
    return folder


def verified(folder: Path, *words: str) -> tuple[int, str]:
    """By its own script, in a Python that doesn't know the product."""
    command = [sys.executable, "-I", "verify.py", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def streams(folder: Path) -> set[str]:
    return {json.loads(line)["stream"] for line in (folder / "story.jsonl").read_text().splitlines()}


def test_an_action_is_told_and_proved(action: Action, tmp_path: Path) -> None:
    folder = opened(of(action, tmp_path / "a.zip"))
    count = Event.objects.filter(stream=f"action:{action.pk}").count()

    assert streams(folder) == {f"action:{action.pk}"}
    assert verified(folder, "--public-key", KEY) == (
        0,
        f"{count} events are as they were sealed; 0 are in no seal.\n",
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.txt", "events.jsonl", "format.md", "pack.json", "seals.jsonl", "story.css", "story.html", "story.jsonl",
        "verify.py",
    ]  # fmt: skip


def up_to_now() -> list[str]:
    """Everything there is."""
    past = datetime.now(UTC) - timedelta(days=400)
    now = Event.objects.order_by("at").values_list("at", flat=True).last()
    assert now is not None
    return ["--since", past.isoformat(), "--until", (now + timedelta(microseconds=1)).isoformat()]


WHAT: Mapping[str, Callable[[Action], list[str]]] = {
    "action": lambda action: ["--action", str(action.pk)],
    "investigation": lambda action: ["--investigation", str(action.investigation_id)],
    "period": lambda action: up_to_now(),
}


def opening(number: int | None) -> None:
    with transaction.atomic():
        log.record(Kind.INVESTIGATION_OPENED, by=factories.SETUP, subject=f"investigation:{number}")


@pytest.mark.parametrize("name", WHAT)
def test_made_again_it_has_the_same_bytes(name: str, action: Action, tmp_path: Path) -> None:
    """Whatever was written and sealed between."""
    opening(action.investigation_id)
    what = WHAT[name](action)
    first = pack(tmp_path / "a.zip", *what).read_bytes()
    other = factories.waiting_action()
    other.approve(by=factories.person("mira").actor())
    opening(other.investigation_id)
    assert other.investigation_id != action.investigation_id
    events = Event.objects.count()
    pack(tmp_path / "other.zip", "--action", str(other.pk))

    assert pack(tmp_path / "b.zip", *what).read_bytes() == first
    assert Event.objects.count() > events
    assert verified(opened(tmp_path / "b.zip"), "--public-key", KEY)[0] == 0


def test_the_page_needs_nothing_and_runs_nothing(action: Action, tmp_path: Path) -> None:
    page = (opened(of(action, tmp_path / "a.zip")) / "story.html").read_text()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert re.findall(r'(?:href|src)="([^"]*)"', page) == ["story.css"]


def test_an_investigation_comes_with_its_actions(action: Action, tmp_path: Path) -> None:
    number = action.investigation_id
    opening(number)
    folder = opened(pack(tmp_path / "i.zip", "--investigation", str(number)))

    assert streams(folder) == {f"investigation:{number}", f"action:{action.pk}"}
    assert verified(folder, "--public-key", KEY)[0] == 0


@pytest.fixture
def half_gone(archive: Path) -> int:
    """An investigation that retention took with its action and its beginning; somebody wrote about it since."""
    rejected = factories.waiting_action().reject(by=factories.person("mira").actor(), comment="Ours.")
    number = rejected.investigation_id
    assert number is not None
    opening(number)
    ended = {"state": InvestigationState.REMEDIATED, "ended_at": Now()}
    Investigation.objects.filter(pk=number).update(**ended)
    years_pass()
    opening(number)
    seal()
    assert purged() > 0
    assert not Investigation.objects.filter(pk=number).exists()
    assert [*Event.objects.filter(stream=f"investigation:{number}").values_list("seq", flat=True)] == [2]
    return number


def test_what_is_left_of_an_investigation_is_proved_when_its_row_is_gone(
    half_gone: int, tmp_path: Path
) -> None:
    what = ["--investigation", str(half_gone)]
    folder = opened(pack(tmp_path / "i.zip", *what))
    assert streams(folder) == {f"investigation:{half_gone}"}
    assert verified(folder, "--public-key", KEY) == (
        0,
        "1 events are as they were sealed; 0 are in no seal.\n",
    )
    factories.person("mira").choose_mail(False, by=factories.SETUP)
    assert pack(tmp_path / "j.zip", *what).read_bytes() == (tmp_path / "i.zip").read_bytes()


def forged(line: str) -> str:
    """The purge, signed by somebody else."""
    said = json.loads(line)
    own = {
        "key": seals.key_id(seals.public_key(b"f" * 32)),
        "signature": seals.sign(b"f" * 32, said["purge"]),
    }
    return json.dumps({**said, **own}) + "\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: "", "missing before it"),
        (lambda line: line.replace(":[1,", ":[7,"), "no trusted key signed it"),
        (forged, "no trusted key signed it"),
    ],
)
def test_a_lost_beginning_is_only_believed_if_signed(
    half_gone: int, tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    folder = opened(pack(tmp_path / "i.zip", "--investigation", str(half_gone)))
    file = folder / "purges.jsonl"
    file.write_text(change(file.read_text()))

    status, told = verified(folder, "--public-key", KEY)

    assert (status, said in told) == (1, True)


def test_a_time_has_all_that_happened_in_it(action: Action, tmp_path: Path) -> None:
    everything = Event.objects.count()
    folder = opened(pack(tmp_path / "t.zip", *up_to_now()))

    assert len((folder / "events.jsonl").read_text().splitlines()) == everything
    assert verified(folder, "--public-key", KEY)[0] == 0


def test_who_takes_one_is_recorded(action: Action, tmp_path: Path) -> None:
    of(action, tmp_path / "a.zip")

    event = Event.objects.get(kind=Kind.EXPORT_MADE)
    assert (event.actor, event.detail) == (
        "command:audit pack",
        {"file": "a.zip", "pack": f"Action A-{action.pk}"},
    )


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (["--action", "999999"], "the log tells nothing of it"),
        (["--investigation", "999999"], "There is no investigation 999999"),
        (["--since", "2020-01-01"], "--since and --until go together"),
        (["--since", "2020-01-01", "--until", "2999-01-01"], "That time isn't over"),
        (["--since", "yesterday", "--until", "2020-01-01"], "yesterday is no time"),
    ],
)
def test_what_cannot_be_packed_is_said(what: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("audit", "pack", *what, "--out", str(tmp_path / "a.zip"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(action: Action, tmp_path: Path) -> None:
    before = of(action, tmp_path / "a.zip").read_bytes()

    with pytest.raises(CommandError, match="can't be written"):
        of(action, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == before


def reword(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return change


def without_line(file: str, at: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines(keepends=True)
        del lines[at]
        (folder / file).write_text("".join(lines))

    return change


DAMAGE: Mapping[str, tuple[Callable[[Path], None], int, str]] = {
    "an event is edited": (reword("events.jsonl", "Mira", "Nora"), 1, "it isn't what was sealed"),
    "its chain value is another": (
        reword("events.jsonl", '"chain":"', '"chain":"0'),
        1,
        "its chain value is none",
    ),
    "the first event is gone": (without_line("events.jsonl", 0), 1, "missing before it"),
    "the last event is gone": (without_line("events.jsonl", -1), 1, "pack.json says otherwise"),
    "the seal is edited": (
        reword("seals.jsonl", "number:i:1:1", "number:i:1:2"),
        1,
        "its signature is wrong",
    ),
    "the seal is gone": (without_line("seals.jsonl", -1), 1, "pack.json says otherwise"),
    "its key is another": (reword("seals.jsonl", '"key":"', '"key":"0'), 1, "its key isn't trusted"),
    "its format is another": (reword("pack.json", "pack 1", "pack 9"), 2, "its format is unknown"),
    "a line is cut": (reword("events.jsonl", '"}', ""), 2, "UNUSABLE"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(name: str, action: Action, tmp_path: Path) -> None:
    damage, status, said = DAMAGE[name]
    folder = opened(of(action, tmp_path / "a.zip"))
    damage(folder)

    found = verified(folder, "--public-key", KEY)

    assert found[0] == status
    assert said in found[1]


def test_whose_key_it_is_counts(action: Action, tmp_path: Path) -> None:
    folder = opened(of(action, tmp_path / "a.zip"))

    status, said = verified(folder)
    assert (status, "NO PUBLIC KEY GIVEN" in said) == (0, True)
    assert verified(folder, "--public-key", seals.public_key(b"f" * 32).hex()) == (
        1,
        "WRONG: seals.jsonl line 1: its key isn't trusted\n",
    )
