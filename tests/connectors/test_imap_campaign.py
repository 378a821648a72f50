"""A whole campaign over many mailboxes: found, quarantined, undone, and looked at as the owners see it."""

import hashlib
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import (
    ConnectorError,
    Continue,
    Json,
    Outcome,
    Permanent,
    Request,
    Result,
    Target,
    Transient,
    Unknown,
)
from actioncenter.connectors.imap import build
from actioncenter.connectors.imap.connector import Imap
from actioncenter.connectors.imap.mailbox import Mailbox
from actioncenter.estate.mail import campaign
from actioncenter.estate.mail.dovecot import BOT, Dovecot
from actioncenter.estate.mail.owner import seen_by_owners
from actioncenter.estate.mail.registering import settings_of
from tests.connectors.harness import Notes

pytestmark = pytest.mark.dovecot
T = ActionType


class Mail:
    """A campaign on a server, and a connector to it."""

    def __init__(
        self, server: Dovecot, boxes: int, *, ordinary: int, campaign_size: int, **settings: Any
    ) -> None:
        self.server = server
        self.boxes = campaign.addresses(boxes, f"{uuid.uuid4().hex[:8]}.example")
        campaign.load(server, self.boxes, ordinary=ordinary, campaign=campaign_size)
        directory = server.folder / f"addresses-{uuid.uuid4().hex}"
        directory.write_text("\n".join(self.boxes))
        settings |= {"directory": directory.name, "directories": str(server.folder)}
        self.total = boxes * campaign_size
        self.connector: Imap = build(settings_of(server) | settings, {"password": server.secret})

    def seen(self) -> "Counter[Any]":
        return seen_by_owners(self.server, self.boxes)

    def found(self, kind: ActionType = T.QUARANTINE_EMAIL, **facts: Any) -> Request:
        """The frozen messages of a cluster, ready to be acted on."""
        cluster = Request(str(uuid.uuid4()), kind, [Target("c1", TargetKind.CLUSTER, "tenant", facts)])
        plan = self.connector.preview(cluster)
        assert plan.targets is not None
        return Request(str(uuid.uuid4()), kind, plan.targets, plan_digest=plan.digest)


def carried_out(mail: Mail, request: Request, cursor: Json | None = None) -> dict[str, Result]:
    results: dict[str, Result] = {}
    while True:
        answer = mail.connector.step(request, cursor, Notes())
        results |= {result.key: result for result in answer.results}
        if not isinstance(answer, Continue):
            return results
        cursor = answer.cursor


def undo_of(request: Request, results: Mapping[str, Result]) -> Request:
    targets = [
        Target(each.key, each.kind, each.remote, each.facts, results[each.key].before)
        for each in request.targets
    ]
    return Request(str(uuid.uuid4()), T.RELEASE_EMAIL, targets)


@pytest.fixture
def mail(dovecot_service: Dovecot) -> Mail:
    return Mail(dovecot_service, 10, ordinary=12, campaign_size=20, chunk=60)


@pytest.fixture
def own_server(dovecot_service: Dovecot) -> Iterator[Dovecot]:
    """One that may be killed. The other is only asked for so that a machine without Dovecot says so."""
    server = Dovecot.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def readable(dovecot_service: Dovecot) -> Mail:
    """For those who only look."""
    return Mail(dovecot_service, 4, ordinary=12, campaign_size=20)


def exact(mail: Mail) -> None:
    before = mail.seen()
    request = mail.found(sender=campaign.SENDER)
    assert len(request.targets) == mail.total
    results = carried_out(mail, request)
    assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
    guids = {target.facts["stable_id"] for target in request.targets}
    assert {seen[2] for seen in mail.seen()}.isdisjoint(guids)
    assert mail.seen().total() == before.total() - mail.total
    undo = undo_of(request, results)
    assert {result.outcome for result in carried_out(mail, undo).values()} == {Outcome.SUCCEEDED}
    assert mail.seen() == before


def test_after_the_undo_every_message_is_as_it_was(mail: Mail) -> None:
    exact(mail)


@pytest.mark.long
def test_five_thousand_messages_are_as_they_were(dovecot_service: Dovecot) -> None:
    exact(Mail(dovecot_service, 50, ordinary=100, campaign_size=100))


TOOL = hashlib.sha256(campaign.TOOL).hexdigest()
FIRST = "<0.invoice@pay-halden.example>"


@pytest.mark.parametrize(
    ("facts", "share"),
    [
        ({"sender": campaign.SENDER}, 1),
        ({"sender_domain": "pay-halden.example"}, 1),
        ({"subject": campaign.SUBJECT.upper()}, 1),
        ({"subject": campaign.SUBJECT[:10]}, 0),
        ({"url": campaign.URL}, 1),
        ({"criteria": {"attachment_sha256": TOOL, "since": campaign.START - 60}}, 0.25),
        ({"criteria": {"attachment_name": "Invoice.EXE", "sender": campaign.SENDER}}, 0.25),
        ({"criteria": {"subject_part": campaign.SUBJECT[3:12].upper()}}, 1),
        ({"criteria": {"sender": campaign.SENDER}, "left_out": [{"message_id": FIRST}]}, 0.95),
        ({"messages": [FIRST, {"message_id": "<1.invoice@pay-halden.example>"}]}, 0.1),
        ({"sender": campaign.SENDER, "since": campaign.START + 600}, 0.5),
        ({"sender": campaign.SENDER, "until": campaign.START + 570}, 0.5),
        ({"sender": campaign.SENDER, "attachment_sha256": TOOL.upper()}, 0.25),
    ],
)
def test_a_cluster_is_found_by_what_it_has_in_common(
    readable: Mail, facts: dict[str, Any], share: float
) -> None:
    assert len(readable.found(**facts).targets) == share * readable.total


def test_a_recipient_is_whoever_the_letter_names_wherever_it_lies(readable: Mail) -> None:
    first, *_ = readable.boxes
    found = readable.found(criteria={"recipient": [first.upper()], "sender": campaign.SENDER}).targets
    assert len(found) == readable.total / len(readable.boxes)
    assert {target.remote for target in found} == {first}
    assert not readable.found(criteria={"recipient": [first[1:]], "sender": campaign.SENDER}).targets


def test_copies_of_one_text_are_found_by_its_hash(readable: Mail) -> None:
    said = f"Please confirm at once: {campaign.URL}?n=7"
    digest = hashlib.sha256(said.encode()).hexdigest()
    assert len(readable.found(sender=campaign.SENDER, body_sha256=digest).targets) == len(readable.boxes)


def test_a_search_pages_through_mailboxes_and_says_where_it_could_not_look(readable: Mail) -> None:
    page = readable.connector.search({"sender": campaign.SENDER, "mailboxes": readable.boxes}, None)
    assert (len(page.references), page.complete, page.cursor) == (readable.total, True, None)
    gone = [*readable.boxes, "nobody@halden.example"]
    assert not readable.connector.search({"sender": campaign.SENDER, "mailboxes": gone}, None).complete
    only = {"sender": campaign.SENDER, "mailbox": [readable.boxes[1].upper()]}
    assert {hit["mailbox"] for hit in readable.connector.search(only, None).references} == {readable.boxes[1]}
    with pytest.raises(Permanent, match="not by colour"):
        readable.connector.search({"colour": "red"}, None)


@pytest.mark.parametrize("address", ["nobody@halden.example", BOT, BOT.upper(), "", "a\0b", "x y\r\n*"])
def test_what_is_no_mailbox_to_act_on_fails_alone(readable: Mail, address: str) -> None:
    """The connector's own is none: there lies its ledger."""
    request = readable.found(message_id=FIRST, sender=campaign.SENDER)
    stray = Target("stray", TargetKind.MESSAGE, address, {"message_id": FIRST})
    already = Request(request.id, T.MOVE_TO_JUNK, [stray, *request.targets[:2]])
    results = carried_out(readable, already)
    assert results.pop("stray").error.startswith("no_mailbox")
    assert {result.outcome for result in results.values()} <= {Outcome.SUCCEEDED, Outcome.ALREADY}


# Killed


@pytest.mark.parametrize("deaths", [1, 3])
def test_killed_in_the_middle_and_resumed_it_ends_exact(own_server: Dovecot, deaths: int) -> None:
    """Every process of the server, with commands on their way."""
    mail = Mail(own_server, 4, ordinary=5, campaign_size=30, chunk=20)
    before = mail.seen()
    request = mail.found(sender=campaign.SENDER)
    results: dict[str, Result] = {}
    cursor: Json | None = None
    for _ in range(deaths):
        answer = mail.connector.step(request, cursor, Notes())
        assert isinstance(answer, Continue)
        cursor = answer.cursor
        results |= {result.key: result for result in answer.results}
        kills = _Kills(own_server)
        with suppress(ConnectorError):
            mail.connector.step(request, cursor, kills)
        kills.timer.join()
        with pytest.raises(Transient):
            mail.connector.step(request, cursor, Notes())
        _unlock(own_server)
        own_server.resume()
    results |= carried_out(mail, request, cursor)
    assert len(results) == mail.total
    assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
    carried_out(mail, undo_of(request, results))
    assert mail.seen() == before


class _Kills(Notes):
    """The server dies some milliseconds into the touch."""

    def __init__(self, server: Dovecot) -> None:
        super().__init__()
        self.timer = threading.Timer(0.003, server.kill)

    def touching(self) -> None:
        self.timer.start()


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.006])
def test_an_imap_process_killed_inside_the_move(own_server: Dovecot, delay: float, tmp_path: Path) -> None:
    """Wherever it was struck, in the end each message lies in one folder only, and undo is exact."""
    mail = Mail(own_server, 1, ordinary=2, campaign_size=80)
    before = mail.seen()
    request = mail.found(sender=campaign.SENDER)

    strikes: list[threading.Timer] = []

    class Strikes(Notes):
        def touching(self) -> None:
            strikes.extend(threading.Timer(delay, _strike, [pid]) for pid in own_server.processes("imap"))
            for strike in strikes:
                strike.start()

    with suppress(ConnectorError):
        mail.connector.step(request, None, Strikes())
    for strike in strikes:
        strike.join()
    _unlock(own_server)
    results = carried_out(mail, request)
    assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
    assert mail.seen().total() == before.total() - mail.total
    carried_out(mail, undo_of(request, results))
    assert mail.seen() == before


def _strike(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_a_keyword_that_the_server_forgot_comes_back(dovecot_service: Dovecot) -> None:
    """As one may that is killed inside a move; of a folder that its owner can reach, flags are the owner's own."""
    mail = Mail(dovecot_service, 1, ordinary=2, campaign_size=10)
    before = mail.seen()
    request = mail.found(sender=campaign.SENDER)
    undo = undo_of(request, carried_out(mail, request))
    _forget_flags(mail, mail.connector.settings.quarantine)
    assert {result.outcome for result in carried_out(mail, undo).values()} == {Outcome.SUCCEEDED}
    assert mail.seen() == before

    junk = mail.found(T.MOVE_TO_JUNK, sender=campaign.SENDER)
    undo = replace(undo_of(junk, carried_out(mail, junk)), type=T.RESTORE_EMAIL)
    _forget_flags(mail, "Junk")
    carried_out(mail, undo)
    assert mail.seen() != before


def _forget_flags(mail: Mail, folder: str) -> None:
    box = Mailbox(mail.connector._door.enter(mail.boxes[0]), mail.connector.settings)
    box.session.select(folder, writing=True)
    assert box.session.wire.ask("UID STORE 1:*", "FLAGS.SILENT (unknown-0)").ok
    box.close()


def _unlock(server: Dovecot) -> None:
    """Whoever is killed between making a lock and signing it leaves one that Dovecot honours for two minutes."""
    for lock in server.folder.rglob("*.lock"):
        if lock.stat().st_size == 0:
            lock.unlink()


def test_a_lock_of_the_dead_is_waited_out_and_nothing_taken_for_done(own_server: Dovecot) -> None:
    mail = Mail(own_server, 1, ordinary=2, campaign_size=10)
    before = mail.seen()
    request = mail.found(sender=campaign.SENDER)
    mail.connector = Imap(mail.connector.settings, own_server.secret, seconds=4.0)
    locks = [
        folder.with_name("dovecot-uidlist.lock") for folder in own_server.home(mail.boxes[0]).rglob("cur")
    ]

    class Locks(Notes):
        def touching(self) -> None:
            for lock in locks:
                lock.touch()

    for impatience in (Unknown, ConnectorError):
        with pytest.raises(impatience):
            mail.connector.step(request, None, Locks())
    _unlock(own_server)
    results = carried_out(mail, request)
    assert {result.outcome for result in results.values()} == {Outcome.SUCCEEDED}
    carried_out(mail, undo_of(request, results))
    assert mail.seen() == before
