"""Forwarding turned off and on again on a real server, whatever its owner does meanwhile."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Outcome, Permanent, Request, Support
from actioncenter.connectors.imap import forwarding
from actioncenter.connectors.imap.connector import Imap
from actioncenter.connectors.imap.forwarding import OURS, Scripts
from actioncenter.connectors.imap.sieve_line import SieveLine
from tests.connectors.harness import Finished, ended, finish, taken_back, undo_of
from tests.connectors.imap_harness import AWAY, FORWARDING, ImapHarness

pytestmark = pytest.mark.dovecot
T = ActionType
REDIRECT = f'redirect "{AWAY}";\r\n'.encode()


@pytest.fixture
def request_(harness: ImapHarness) -> Request:
    return harness.request(T.TURN_OFF_FORWARDING)


@pytest.fixture
def address(request_: Request) -> str:
    return request_.targets[0].remote


def exact(harness: ImapHarness, request: Request) -> None:
    """The owner's scripts stay as they were to the byte, and an undo leaves nothing of ours."""
    address = request.targets[0].remote
    harness.script(address, "helper", REDIRECT)
    harness.script(address, "mine", b'require "include"; include "helper"; # mine\r\n', active=True)
    before = harness.scripts(address)

    result = ended(harness, request)
    assert result.outcome is Outcome.SUCCEEDED
    active, contents = harness.scripts(address)
    assert active.startswith(OURS)
    assert all(contents[name] == content for name, content in before[1].items())
    ours = [content for name, content in contents.items() if name.startswith(OURS)]
    assert sorted(AWAY.encode() in content for content in ours) == [False, False]
    assert b"# mine" in contents[active]

    assert taken_back(harness, request, result).outcome is Outcome.SUCCEEDED
    assert harness.scripts(address) == before


def changed_since(harness: ImapHarness, request: Request) -> None:
    """The owner wrote his script anew while ours counted."""
    result, address = ended(harness, request), request.targets[0].remote
    harness.script(address, "mine", b"keep;\r\n")
    before = harness.scripts(address)
    undo = taken_back(harness, request, result)
    assert undo.outcome is Outcome.FAILED
    assert undo.error.startswith("conflict: ")
    assert harness.scripts(address) == before


def changed_meanwhile(harness: ImapHarness, request: Request) -> None:
    """Between our look and our touch he turned to another script, which forwards too."""
    address = request.targets[0].remote
    other = b'# another\r\nredirect "also@elsewhere.example";\r\n'
    harness.sieve.before[b"SETACTIVE"] = lambda: harness.script(address, "mine", other, active=True)
    result = ended(harness, request)
    active, contents = harness.scripts(address)
    assert contents["mine"] == other
    assert (result.outcome is Outcome.SUCCEEDED) == (active.startswith(OURS))
    assert taken_back(harness, request, result).outcome is Outcome.FAILED


def not_done(harness: ImapHarness, request: Request) -> None:
    """The server says OK and does nothing."""
    assert ended(harness, request).outcome is Outcome.FAILED


@pytest.mark.parametrize("scene", [exact, changed_since, changed_meanwhile], ids=lambda scene: scene.__name__)
def test_what_is_said_is_what_happened(
    harness: ImapHarness, request_: Request, scene: Callable[[ImapHarness, Request], None]
) -> None:
    scene(harness, request_)


def test_ok_alone_is_not_believed(
    harness: ImapHarness, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SieveLine, "activate", lambda line, name: "")
    not_done(harness, request_)


def test_a_plan_names_every_address(harness: ImapHarness, request_: Request, address: str) -> None:
    script = FORWARDING + b'notify "mailto:other@elsewhere.example";\r\npipe "x";\r\n'
    harness.script(address, "mine", script, active=True)
    plan = harness.connector.preview(request_)
    assert [each["to"] for each in plan.affected] == [AWAY, "other@elsewhere.example"]
    assert plan.changes == [f"Mail from {address} to {to} stops." for to in (AWAY, "other@elsewhere.example")]
    assert plan.warnings == [f"A script of {address} also uses pipe, which can't be followed from here."]


def test_who_forwards_nothing_is_left_alone(harness: ImapHarness, request_: Request, address: str) -> None:
    harness.script(address, "mine", b'redirect "ben@halden.example";\r\n', active=True)
    before = harness.scripts(address)
    assert ended(harness, request_).outcome is Outcome.ALREADY
    assert harness.scripts(address) == before


def test_a_plan_of_what_is_so_already_says_how_it_is(
    harness: ImapHarness, request_: Request, address: str
) -> None:
    result = ended(harness, request_)
    assert harness.connector.preview(request_).warnings == [
        f"Nothing of {address} is forwarded to the outside by a script."
    ]
    undo = undo_of(request_, Finished({"t0": result}, (), [], []))
    ended(harness, undo)
    assert harness.connector.preview(undo).warnings == [f"Mail of {address} is forwarded as it was before."]


def test_what_can_not_be_read_is_not_called_harmless(
    harness: ImapHarness, request_: Request, address: str
) -> None:
    harness.script(address, "mine", b'redirect "never closed;\r\n', active=True)
    result = ended(harness, request_)
    assert result.outcome is Outcome.FAILED
    assert result.error.startswith("unreadable: ")
    assert harness.connector.verify(request_).in_force == {"t0": None}


def test_without_a_port_it_says_why(harness: ImapHarness) -> None:
    connector = Imap(replace(harness.connector.settings, sieve_port=0), harness.secret)
    found = connector.capabilities(TargetKind.MAILBOX, "")[T.TURN_OFF_FORWARDING]
    assert (found.support, found.reason) == (
        Support.UNSUPPORTED, "The connector's settings name no port of sieve scripts (ManageSieve).",
    )  # fmt: skip


def test_a_plan_that_no_longer_holds_stops_it(harness: ImapHarness, request_: Request, address: str) -> None:
    plan = harness.connector.preview(request_)
    harness.script(address, "mine", REDIRECT.replace(b"thief", b"other"), active=True)
    with pytest.raises(Permanent) as caught:
        finish(harness, replace(request_, plan_digest=plan.digest))
    assert caught.value.code == "plan_changed"


# The scenes above, against a connector with a mistake in it


def forgets_what_is_included(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scripts, "_includes", lambda scripts, name: set())


def overwrites(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scripts, "are", lambda scripts, digests: True)


def leaves_its_copies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SieveLine, "delete", lambda line, name: "")


@pytest.mark.parametrize(
    ("mistake", "scene"),
    [(forgets_what_is_included, exact), (overwrites, changed_since), (leaves_its_copies, exact)],
    ids=lambda each: each.__name__,
)
def test_a_mistake_is_found_out(
    harness: ImapHarness,
    request_: Request,
    monkeypatch: pytest.MonkeyPatch,
    mistake: Callable[[pytest.MonkeyPatch], None],
    scene: Callable[[ImapHarness, Request], None],
) -> None:
    mistake(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        scene(harness, request_)


def test_a_believer_is_found_out(
    harness: ImapHarness, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SieveLine, "activate", lambda line, name: "")
    monkeypatch.setattr(forwarding, "holds", lambda verb, target, scripts: True)
    with pytest.raises(AssertionError):
        not_done(harness, request_)
