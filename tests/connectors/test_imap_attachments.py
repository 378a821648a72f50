"""Attachments taken out and put back on a real server, whatever their owner does meanwhile."""

import os
from collections.abc import Callable

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Outcome, Request, Unknown
from actioncenter.connectors.imap import attachments, swapping
from actioncenter.connectors.imap.attachments import WHOLE
from actioncenter.connectors.imap.mailbox import Mailbox
from actioncenter.connectors.imap.splicing import Part, Wish
from actioncenter.estate.mail import campaign
from actioncenter.estate.mail.dovecot import give
from tests.connectors.harness import ended, finish, taken_back
from tests.connectors.imap_harness import Held, ImapHarness, messages
from tests.connectors.imap_scenes import as_owner

pytestmark = pytest.mark.dovecot
T = ActionType
Scene = Callable[[ImapHarness, Request], None]


@pytest.fixture
def request_(harness: ImapHarness) -> Request:
    return harness.request(T.QUARANTINE_ATTACHMENT)


def here(harness: ImapHarness, request: Request, folder: str = "") -> list[Held]:
    return [held for held in messages(harness.home(request.targets[0])) if held.folder == folder]


def guids(harness: ImapHarness, request: Request) -> bytes:
    fetch = ("uid", "FETCH", "1:*", "(X-GUID)")
    *_, (_, answer) = as_owner(harness, request.targets[0].remote, ("select", "INBOX"), fetch)
    return bytes(answer[0].partition(b"X-GUID ")[2].partition(b")")[0].split()[0])


def carries(held: Held) -> bool:
    return b"filename=" in held.path.read_bytes()


def exact(harness: ImapHarness, request: Request) -> None:
    """Out of its owner's reach and back, to the byte, under the same lasting name; what was read stays read."""
    (before,) = here(harness, request)
    content, known = before.path.read_bytes(), guids(harness, request)

    result = ended(harness, request)
    assert result.outcome is Outcome.SUCCEEDED
    (stub,), (kept,) = here(harness, request), here(harness, request, ".Quarantine")
    assert not carries(stub)
    assert stub.path.name.partition(":2,")[2] == before.path.name.partition(":2,")[2]
    assert stub.path.stat().st_mtime == campaign.START
    assert kept.path.read_bytes() == content

    as_owner(
        harness,
        request.targets[0].remote,
        ("select", "INBOX"),
        ("uid", "STORE", "1:*", "+FLAGS", r"(\Answered)"),
    )
    assert taken_back(harness, request, result).outcome is Outcome.SUCCEEDED
    (after,) = here(harness, request)
    assert after.path.read_bytes() == content
    assert guids(harness, request) == known
    assert "R" in after.path.name.partition(":2,")[2]
    assert here(harness, request, ".Quarantine") == []
    assert len(messages(harness.home(request.targets[0]))) == 1, "nothing of the copy is kept, hidden or not"


def cut_between(harness: ImapHarness, request: Request) -> None:
    """The copy without the part was laid down, and the line broke before the original went."""
    harness.proxy.lose(after_effect=False, in_two=True)
    with pytest.raises(Unknown):
        finish(harness, request)
    assert len(here(harness, request)) == 2
    assert ended(harness, request).outcome is Outcome.SUCCEEDED
    assert [carries(held) for held in here(harness, request)] == [False]
    assert len(here(harness, request, ".Quarantine")) == 1


def deleted_by_its_owner(harness: ImapHarness, request: Request) -> None:
    """What he deleted isn't brought back behind his back."""
    result = ended(harness, request)
    (stub,) = here(harness, request)
    stub.path.unlink()
    undo = taken_back(harness, request, result)
    assert undo.outcome is Outcome.FAILED
    assert undo.error.startswith("conflict: ")
    assert here(harness, request) == []


def filed_by_its_owner(harness: ImapHarness, request: Request) -> None:
    result = ended(harness, request)
    as_owner(
        harness,
        request.targets[0].remote,
        ("create", "Mine"),
        ("select", "INBOX"),
        ("uid", "MOVE", "1:*", "Mine"),
    )
    assert taken_back(harness, request, result).outcome is Outcome.SUCCEEDED
    assert [carries(held) for held in here(harness, request, ".Mine")] == [True]
    assert here(harness, request) == []


def not_to_be_spliced(harness: ImapHarness, request: Request) -> None:
    """Signed: the whole message goes, and the result says so."""
    (held,) = here(harness, request)
    content = held.path.read_bytes().replace(b"multipart/mixed", b"multipart/signed")
    held.path.write_bytes(content)
    os.utime(held.path, (campaign.START, campaign.START))
    give(held.home)
    plan = harness.connector.preview(request)
    assert plan.warnings[0].startswith("1 message: it can't be taken out without harm")
    result = ended(harness, request)
    assert (result.outcome, result.after["note"]) == (Outcome.SUCCEEDED, WHOLE)
    assert here(harness, request) == []
    assert taken_back(harness, request, result).outcome is Outcome.SUCCEEDED
    assert [each.path.read_bytes() for each in here(harness, request)] == [content]


SCENES = [exact, cut_between, deleted_by_its_owner, filed_by_its_owner, not_to_be_spliced]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_is_said_is_what_happened(harness: ImapHarness, request_: Request, scene: Scene) -> None:
    scene(harness, request_)


def test_a_plan_says_what_it_costs(harness: ImapHarness, request_: Request) -> None:
    plan = harness.connector.preview(request_)
    assert plan.changes == ["Of 1 message the attachment is taken out and kept in the quarantine."]
    assert plan.warnings == [
        "Signatures of the sender's server (DKIM) no longer fit these messages until it is put back."
    ]


def test_without_such_an_attachment_nothing_is_touched(harness: ImapHarness, request_: Request) -> None:
    (held,) = here(harness, request_)
    held.path.write_bytes(held.path.read_bytes().replace(b"TVo", b"AAA"))
    before = harness.digest()
    assert ended(harness, request_).outcome is Outcome.GONE
    assert harness.digest() == before


# Mistakes


def lays_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(attachments, "_laid", lambda recorded, moved, stubs: set())


def forgets_the_marks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mailbox, "mark", lambda box, folder, at, flags: "")


def leaves_hidden_copies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mailbox, "erase", Mailbox.expunge)


def splices_anything(patch: pytest.MonkeyPatch) -> None:
    def whatever(raw: bytes, parts: list[Part], wish: Wish) -> bytes:
        return raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    patch.setattr(attachments, "spliced", whatever)
    patch.setattr(swapping, "spliced", whatever)


@pytest.mark.parametrize(
    ("mistake", "scene"),
    [
        (lays_twice, cut_between), (forgets_the_marks, exact), (leaves_hidden_copies, exact),
        (splices_anything, not_to_be_spliced),
    ],
    ids=lambda each: each.__name__,
)  # fmt: skip
def test_a_mistake_is_found_out(
    harness: ImapHarness,
    request_: Request,
    monkeypatch: pytest.MonkeyPatch,
    mistake: Callable[[pytest.MonkeyPatch], None],
    scene: Scene,
) -> None:
    mistake(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        scene(harness, request_)
