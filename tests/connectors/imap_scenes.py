"""What happens to a mail server while we work on it, and what has to be true afterwards."""

import contextlib
import imaplib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Outcome, Request, Target, Unknown
from actioncenter.connectors.imap.connector import Imap
from actioncenter.connectors.imap.names import quoted, wired
from actioncenter.estate.mail import campaign
from tests.actions.stopping import until
from tests.connectors.harness import Cut, CutAt, finish, undo_of
from tests.connectors.imap_harness import ImapHarness, messages
from tests.connectors.imap_proxy import Line

imaplib.Commands.setdefault("MOVE", ("SELECTED",))
T = ActionType
SHORT = 0.7
"""Seconds after which a silent server is given up on."""


def as_owner(harness: ImapHarness, address: str, *commands: tuple[str, ...]) -> list[Any]:
    """What the owner of a mailbox does, or sees, with a mail program of his own."""
    answers = []
    with imaplib.IMAP4("127.0.0.1", harness.server.port) as box:
        box.login(address, harness.server.password)
        for name, *arguments in commands:
            answers.append(getattr(box, name)(*arguments))
    return answers


def impatient(harness: ImapHarness) -> None:
    harness.connector = Imap(harness.connector.settings, harness.secret, lambda: harness.time, SHORT)


def letters(
    harness: ImapHarness, number: int, kind: ActionType = T.QUARANTINE_EMAIL, folder: str = ""
) -> Request:
    """So many messages in one mailbox, as targets of one request, in one step."""
    address = harness.box(".Archive")
    made = [campaign.letter(address, f"<{each}.{address}>", folder=folder) for each in range(10, 10 + number)]
    campaign.deliver(harness.server, address, made)
    targets = [
        Target(
            f"m{place}",
            TargetKind.MESSAGE,
            address,
            {"message_id": f"<{place + 10}.{address}>", "mailbox": address},
        )
        for place in range(number)
    ]
    harness.connector.settings = replace(harness.connector.settings, chunk=100)
    harness.connector._door = replace(harness.connector._door, settings=harness.connector.settings)
    return Request(str(uuid.uuid4()), kind, targets)


def before_move(harness: ImapHarness, deed: Callable[[], object], command: bytes = b"UID MOVE") -> None:
    """Once, just before the server gets the command."""

    def cut(line: Line, sent: bytes) -> None:
        if command in sent:
            harness.proxy.cut = lambda line, command: None
            deed()

    harness.proxy.cut = cut


def places(harness: ImapHarness, request: Request) -> dict[str, list[str]]:
    """Folders in which the file of each message lies, by its Message-ID."""
    found: dict[str, list[str]] = {target.facts["message_id"]: [] for target in request.targets}
    for held in messages(harness.home(request.targets[0])):
        # The server may move it at this very moment.
        with contextlib.suppress(FileNotFoundError):
            head = held.path.read_bytes().decode()
            for message_id in found:
                if f"Message-ID: {message_id}\n" in head:
                    found[message_id].append(held.folder)
    return found


def outcomes(results: Any) -> list[Outcome]:
    return [result.outcome for result in results.values()]


# Scenes


def locked_past_the_timeout(harness: ImapHarness) -> None:
    """The server finishes long after we gave up; nothing may be called failed meanwhile, nor done twice."""
    request = letters(harness, 3)
    address = request.targets[0].remote
    as_owner(harness, address, ("select", "INBOX"))
    campaign.make(harness.server.home(address) / "Maildir" / ".Quarantine")
    campaign.deliver(harness.server, address, [])
    lock = harness.server.home(address) / "Maildir" / ".Quarantine" / "dovecot-uidlist.lock"
    before_move(harness, lock.touch)
    impatient(harness)
    with pytest.raises(Unknown):
        finish(harness, request)
    lock.unlink()
    until(
        lambda: all(each == [".Quarantine"] for each in places(harness, request).values()),
        "it never finished",
    )
    assert outcomes(finish(harness, request).results) == [Outcome.SUCCEEDED] * 3


def both_copies(harness: ImapHarness) -> None:
    """It died between laying the copy down and taking the original away."""
    request = letters(harness, 2)
    with pytest.raises(Cut):
        finish(harness, request, notes=_DiesTouching())
    home = harness.home(request.targets[0])
    campaign.make(home / "Maildir" / ".Quarantine")
    for held in messages(home):
        if held.folder == "":
            (home / "Maildir" / ".Quarantine" / "cur" / held.path.name).write_bytes(held.path.read_bytes())
    campaign.deliver(harness.server, request.targets[0].remote, [])
    run = finish(harness, request)
    assert outcomes(run.results) == [Outcome.SUCCEEDED] * 2
    assert list(places(harness, request).values()) == [[".Quarantine"]] * 2
    assert all(result.before["places"][0]["folder"] == "INBOX" for result in run.results.values())


def moved_after_the_crash(harness: ImapHarness) -> None:
    """We died before the touch; the reader then filed it elsewhere, and there it belongs after the undo."""
    request = letters(harness, 2)
    with pytest.raises(Cut):
        finish(harness, request, notes=_DiesTouching())
    as_owner(harness, request.targets[0].remote, ("select", "INBOX"), ("uid", "MOVE", "1:2", "Archive"))
    run = finish(harness, request)
    assert outcomes(run.results) == [Outcome.SUCCEEDED] * 2
    assert list(places(harness, request).values()) == [[".Quarantine"]] * 2
    finish(harness, undo_of(request, run))
    assert list(places(harness, request).values()) == [[".Archive"]] * 2


class _DiesTouching(CutAt):
    """Its own record of what it is about to do is written by then."""

    def __init__(self) -> None:
        super().__init__(at=1_000)

    def touching(self) -> None:
        raise Cut


def vanished_in_the_batch(harness: ImapHarness) -> None:
    """The reader removes two while the command is on its way: the server then moves none of them."""
    request = letters(harness, 5)
    address = request.targets[0].remote
    away = [("select", "INBOX"), ("uid", "STORE", "2,4", "+FLAGS", r"(\Deleted)"), ("expunge",)]
    before_move(harness, lambda: as_owner(harness, address, *away))
    run = finish(harness, request)
    assert sorted(outcomes(run.results)) == [Outcome.GONE] * 2 + [Outcome.SUCCEEDED] * 3
    moved = sum(each == [".Quarantine"] for each in places(harness, request).values())
    assert moved == 3


def moved_by_the_reader(harness: ImapHarness) -> None:
    """He took two elsewhere meanwhile; they are found there."""
    request = letters(harness, 4)
    address = request.targets[0].remote
    taken = [("select", "INBOX"), ("uid", "MOVE", "1,3", "Archive")]
    before_move(harness, lambda: as_owner(harness, address, *taken))
    run = finish(harness, request)
    assert outcomes(run.results) == [Outcome.SUCCEEDED] * 4
    assert list(places(harness, request).values()) == [[".Quarantine"]] * 4


def folder_made_anew(harness: ImapHarness) -> None:
    """Under its name there are other messages now, with the same numbers."""
    request = letters(harness, 2, folder=".Work")
    address = request.targets[0].remote
    other = campaign.letter(address, "<other@halden.example>", subject="Minutes")

    def swap() -> None:
        as_owner(harness, address, ("rename", "Work", "Old"), ("create", "Work"),
                 ("append", "Work", None, None, other.content), ("append", "Work", None, None, other.content))  # fmt: skip

    before_move(harness, swap, b"SELECT Work")
    run = finish(harness, request)
    assert outcomes(run.results) == [Outcome.SUCCEEDED] * 2
    assert list(places(harness, request).values()) == [[".Quarantine"]] * 2
    kept = [
        held.folder
        for held in messages(harness.home(request.targets[0]))
        if b"<other@" in held.path.read_bytes()
    ]
    assert kept == [".Work"] * 2


def somebody_elses_deleted_mark(harness: ImapHarness) -> None:
    """A message that its reader marked as deleted, and may want back, isn't ours to destroy."""
    request = letters(harness, 2, T.HARD_DELETE_EMAIL)
    address = request.targets[0].remote
    campaign.deliver(
        harness.server, address, [campaign.letter(address, "<marked@halden.example>", flags="ST")]
    )
    assert outcomes(finish(harness, request).results) == [Outcome.SUCCEEDED] * 2
    held = messages(harness.home(request.targets[0]))
    assert [each.folder for each in held if b"<marked@" in each.path.read_bytes()] == [""]


def recoverable_copies(harness: ImapHarness) -> None:
    """What was deleted for good is also gone from where the server keeps what was expunged, and that is said."""
    request = letters(harness, 2, T.HARD_DELETE_EMAIL)
    run = finish(harness, request)
    assert [result.after for result in run.results.values()] == [{"copies": 1, "recoverable_copies": 1}] * 2
    assert list(places(harness, request).values()) == [[]] * 2


def original_folder_gone(harness: ImapHarness) -> None:
    """It is made again for the undo."""
    request = letters(harness, 2, folder=".Projects.Alpha")
    undo = undo_of(request, finish(harness, request))
    as_owner(harness, request.targets[0].remote, ("delete", "Projects/Alpha"))
    assert outcomes(finish(harness, undo).results) == [Outcome.SUCCEEDED] * 2
    assert list(places(harness, request).values()) == [[".Projects.Alpha"]] * 2


def original_folder_gone_for_good(harness: ImapHarness) -> None:
    """Where it can't be made again the inbox has to do, and that is said."""
    request = letters(harness, 2, folder=".Projects")
    undo = undo_of(request, finish(harness, request))
    as_owner(harness, request.targets[0].remote, ("delete", "Projects"))
    (harness.home(request.targets[0]) / "Maildir" / ".Projects").write_text("in the way")
    run = finish(harness, undo)
    assert outcomes(run.results) == [Outcome.SUCCEEDED] * 2
    assert all("inbox" in result.after["note"] for result in run.results.values())
    assert list(places(harness, request).values()) == [[""]] * 2
    assert all(harness.connector.verify(undo).in_force.values())


def folders_of_any_name(harness: ImapHarness) -> None:
    """Umlauts, quotation marks and what else people call their folders."""
    request = letters(harness, 3)
    address = request.targets[0].remote
    names = ["Entwürfe & Post", 'Die "Wichtigen"', "R&D (alt) {3}"]
    for number, name in enumerate(names, 1):
        folder = quoted(wired(name)).decode()  # type: ignore[union-attr]
        as_owner(
            harness, address, ("create", folder), ("select", "INBOX"), ("uid", "MOVE", str(number), folder)
        )
    seen = harness.connector.verify(request).detail
    assert {each["places"][0]["folder"] for each in seen.values()} == set(names)
    run = finish(harness, request)
    assert outcomes(run.results) == [Outcome.SUCCEEDED] * 3
    assert outcomes(finish(harness, undo_of(request, run)).results) == [Outcome.SUCCEEDED] * 3
    assert harness.connector.verify(request).detail == seen


def out_of_reach(harness: ImapHarness) -> None:
    """Its owner neither sees the quarantine nor gets at it."""
    request = letters(harness, 1)
    finish(harness, request)
    address = request.targets[0].remote
    (_, listed), (selected, _), (renamed, _) = as_owner(
        harness, address, ("list",), ("select", "Quarantine"), ("rename", "Quarantine", "Mine")
    )
    assert not any(b"Quarantine" in line for line in listed)
    assert (selected, renamed) == ("NO", "NO")


def unseen_seed(harness: ImapHarness) -> None:
    """A search that doesn't find what it began with has not looked everywhere, whatever it says."""
    request = letters(harness, 2)
    address = request.targets[0].remote
    facts = {"message_id": "<lost@evil.example>", "criteria": {"sender": campaign.SENDER}}
    cluster = Target("c1", TargetKind.CLUSTER, "tenant", facts)
    (harness.folder / "addresses").write_text(address)
    plan = harness.connector.preview(replace(request, targets=[cluster]))
    assert plan.targets
    assert not plan.observed["complete"]
    assert plan.warnings[0].startswith("Incomplete")


def without_a_name(harness: ImapHarness) -> None:
    """Messages without a Message-ID aren't one another, and what has no name that a mail server knows isn't gone."""
    request = letters(harness, 1)
    address = request.targets[0].remote
    nameless = replace(campaign.letter(address, "", flags="F"), content=b"Subject: no name\n\n")
    campaign.deliver(harness.server, address, [nameless])
    stray = [
        Target("s1", TargetKind.MESSAGE, address, {"mailbox": address, "message_id": network_id})
        for network_id in ("", "6cb2f7f8-9a3e-4c4e-8a55-08dc3f1e9a11")
    ]
    named = Target("s2", TargetKind.MESSAGE, address, {"mailbox": address, "stable_id": nameless.name})
    for target in stray:
        results = finish(harness, replace(request, id=str(uuid.uuid4()), targets=[target])).results
        assert results["s1"].error.startswith("no_identity")
    results = finish(harness, replace(request, targets=[*request.targets, named, stray[0]])).results
    assert outcomes(results) == [Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED]
    assert harness.connector.verify(replace(request, targets=[named, stray[0]])).in_force == {
        "s2": True,
        "s1": None,
    }


SCENES: Sequence[Callable[[ImapHarness], None]] = (
    locked_past_the_timeout, both_copies, moved_after_the_crash, vanished_in_the_batch, moved_by_the_reader, folder_made_anew,
    somebody_elses_deleted_mark, recoverable_copies, original_folder_gone, original_folder_gone_for_good,
    folders_of_any_name, out_of_reach, unseen_seed, without_a_name,
)  # fmt: skip
