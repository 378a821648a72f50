"""Failures provoked on a real Dovecot; and connectors that lie about each of them, as naive ones do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actioncenter.connectors.base import ConnectorError, Outcome, Result
from actioncenter.connectors.imap import mailbox, plans, verbs
from actioncenter.connectors.imap.mailbox import Copy, Mailbox, Moved, Wanted
from actioncenter.connectors.imap.working import Work
from tests.connectors import imap_scenes as scenes
from tests.connectors.imap_harness import ImapHarness
from tests.connectors.imap_scenes import SCENES

pytestmark = pytest.mark.dovecot
Scene = Callable[[ImapHarness], None]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_is_said_is_what_happened(harness: ImapHarness, scene: Scene) -> None:
    scene(harness)


# Lies


def calls_a_timeout_failed(patch: pytest.MonkeyPatch) -> None:
    real = Work.carry_out

    def carry_out(work: Work) -> None:
        real(work)
        if work.lost:
            work.results = {key: Result(key, Outcome.FAILED, error="timeout") for key in work.decisions}
            work.lost = ""

    patch.setattr(Work, "carry_out", carry_out)


def sends_again_blindly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verbs, "_doubled", lambda case, intent: ([], False))


def trusts_an_old_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verbs, "_never_happened", lambda case, intent: False)


def believes_ok(patch: pytest.MonkeyPatch) -> None:
    """The server said OK, or at least nothing bad of this one."""
    real = Mailbox.move

    def move(box: Mailbox, copies: list[Copy], to: str) -> Moved:
        moved = real(box, copies, to)
        return replace(moved, to={copy.at: (1, 1) for copy in copies} | moved.to)

    patch.setattr(Mailbox, "move", move)


def gives_the_batch_up(patch: pytest.MonkeyPatch) -> None:
    real = Mailbox.move

    def move(box: Mailbox, copies: list[Copy], to: str) -> Moved:
        moved = real(box, copies, to)
        return replace(
            moved, refused={copy.at: "expungeissued" for copy in copies if copy.at not in moved.to}
        )

    patch.setattr(Mailbox, "move", move)


def trusts_numbers(patch: pytest.MonkeyPatch) -> None:
    """Doesn't ask whether it is still the folder that they were of."""
    real = Mailbox.move

    def move(box: Mailbox, copies: list[Copy], to: str) -> Moved:
        now = box.session.select(copies[0].folder, writing=True)
        moved = real(box, [replace(copy, uidvalidity=now) for copy in copies], to)
        return replace(moved, to={copy.at: (1, 1) for copy in copies} if moved.to else {})

    patch.setattr(Mailbox, "move", move)


def expunges_whatever_is_marked(patch: pytest.MonkeyPatch) -> None:
    real = Mailbox.expunge

    def expunge(box: Mailbox, copies: list[Copy]) -> str:
        box.session.select(copies[0].folder, writing=True)
        box.session.wire.ask(
            "UID STORE", mailbox.uid_set([copy.uid for copy in copies]), r"+FLAGS (\Deleted)"
        )
        box.session.wire.ask("EXPUNGE")
        return real(box, copies)

    patch.setattr(Mailbox, "expunge", expunge)


def forgets_what_the_server_keeps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mailbox, "hidden", lambda box: [])


def makes_no_folder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mailbox, "create", lambda box, folder: False)


def takes_any_answer_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plans, "text", lambda facts, *names: "")


def takes_the_nameless_for_one_another(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Wanted, "is_named", True)


LIES: list[tuple[Any, Scene]] = [
    (calls_a_timeout_failed, scenes.locked_past_the_timeout),
    (sends_again_blindly, scenes.both_copies),
    (trusts_an_old_record, scenes.moved_after_the_crash),
    (believes_ok, scenes.vanished_in_the_batch),
    (gives_the_batch_up, scenes.vanished_in_the_batch),
    (trusts_numbers, scenes.folder_made_anew),
    (expunges_whatever_is_marked, scenes.somebody_elses_deleted_mark),
    (forgets_what_the_server_keeps, scenes.recoverable_copies),
    (makes_no_folder, scenes.original_folder_gone),
    (takes_any_answer_for_all, scenes.unseen_seed),
    (takes_the_nameless_for_one_another, scenes.without_a_name),
]


@pytest.mark.parametrize(("lie", "scene"), LIES, ids=lambda each: each.__name__)
def test_a_lie_is_found_out(
    harness: ImapHarness,
    monkeypatch: pytest.MonkeyPatch,
    lie: Callable[[pytest.MonkeyPatch], None],
    scene: Scene,
) -> None:
    lie(monkeypatch)
    with pytest.raises((AssertionError, ConnectorError, pytest.fail.Exception)):
        scene(harness)
