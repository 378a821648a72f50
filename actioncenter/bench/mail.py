"""The benchmark `mail`: a campaign pulled out of many mailboxes, beside one message at a time."""

import imaplib
import resource
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.bench.asked import Asked
from actioncenter.bench.report import Report, Table, ratio
from actioncenter.connectors.base import Continue, Json, Plan, Request, Result, Target
from actioncenter.connectors.imap import build
from actioncenter.connectors.imap.connector import Imap
from actioncenter.estate.mail import campaign
from actioncenter.estate.mail.dovecot import BOT, QUARANTINE, Dovecot
from actioncenter.estate.mail.owner import seen_by_owners
from actioncenter.estate.mail.registering import ADDRESSES, settings_of

A_MAILBOX: Final = 100
"""Messages of the campaign in each mailbox, and as many others."""
KIB: Final = 1024
T = TypeVar("T")
imaplib.Commands.setdefault("MOVE", ("SELECTED",))


class Unheard:
    """A journal that nobody reads."""

    def intent(self, keys: Sequence[str]) -> None: ...

    def touching(self) -> None: ...

    def result(self, results: Sequence[Result]) -> None: ...


def run(asked: Asked) -> Report:
    """Find and quarantine a campaign of `rows` messages on a real Dovecot, then undo it.

    Every second mailbox is served by the connector, the others one message at a time: each is looked for by its Message-ID,
    folder by folder, and moved, over one connection that stays open for the whole mailbox. Wall time: what costs here is
    waiting for the server. Everything was read once before. Whether the undo is exact is judged by what the owners see;
    memory is what this process needed more at its highest than before.
    """
    server = Dovecot.start()
    try:
        return _measured(server, asked)
    finally:
        server.stop()


def _measured(server: Dovecot, asked: Asked) -> Report:
    boxes = campaign.addresses(max(2, asked.rows // A_MAILBOX))
    size = asked.rows // len(boxes)
    asked.say(f"{len(boxes)} mailboxes")
    campaign.load(server, boxes, ordinary=A_MAILBOX, campaign=size, seed=asked.seed)
    mine, others = boxes[::2], boxes[1::2]
    directory = server.folder / ADDRESSES
    options = settings_of(server) | {"directories": str(server.folder)}
    connector = build(options, {"password": server.secret})
    for chosen in (others, mine):
        directory.write_text("\n".join(chosen))
        _plan(connector)
    before, peak = seen_by_owners(server, mine), _peak()
    asked.say("one by one")
    by_hand, one_by_one = _timed(lambda: sum(_by_hand(server, address, size) for address in others))
    asked.say("connector")
    (request, results), ours = _timed(lambda: _quarantined(connector))
    # Each way for one message: the halves need not be equally large.
    gain = ratio(one_by_one / by_hand, ours / len(results))
    _carried_out(connector, _undo_of(request, results))
    exact = seen_by_owners(server, mine) == before
    ratios = {
        "one_by_one_vs_ours": gain,
        "undo_exact": int(exact),
        "memory_mib": round((_peak() - peak) / KIB, 1),
    }
    lines = [
        ["connector", f"{len(results):,}", f"{ours:.2f}"],
        ["one by one", f"{by_hand:,}", f"{one_by_one:.2f}"],
    ]
    table = Table(f"A campaign in {len(boxes)} mailboxes", ["way", "messages", "s"], lines)
    return Report("mail", asked.rows, asked.database, ratios, [table])


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.monotonic()
    return call(), time.monotonic() - started


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# Ours


def _plan(connector: Imap) -> Plan:
    cluster = Target("c1", TargetKind.CLUSTER, "tenant", {"sender": campaign.SENDER})
    return connector.preview(Request(str(uuid.uuid4()), ActionType.QUARANTINE_EMAIL, [cluster]))


def _quarantined(connector: Imap) -> tuple[Request, dict[str, Result]]:
    plan = _plan(connector)
    request = Request(
        str(uuid.uuid4()), ActionType.QUARANTINE_EMAIL, plan.targets or [], plan_digest=plan.digest
    )
    return request, _carried_out(connector, request)


def _carried_out(connector: Imap, request: Request) -> dict[str, Result]:
    results: dict[str, Result] = {}
    cursor: Json | None = None
    while True:
        answer = connector.step(request, cursor, Unheard())
        results |= {result.key: result for result in answer.results}
        if not isinstance(answer, Continue):
            return results
        cursor = answer.cursor


def _undo_of(request: Request, results: dict[str, Result]) -> Request:
    targets = [replace(target, before=results[target.key].before) for target in request.targets]
    return Request(str(uuid.uuid4()), ActionType.RELEASE_EMAIL, targets)


# One by one


def _by_hand(server: Dovecot, address: str, size: int) -> int:
    """Returns how many messages it moved."""
    identity = f"{address}\0{BOT}\0{server.secret}".encode()
    with imaplib.IMAP4("127.0.0.1", server.port) as box:
        box.authenticate("PLAIN", lambda _: identity)
        box.create(QUARANTINE)
        lines = [bytes(line) for line in box.list()[1] if line and rb"\Noselect" not in line]  # type: ignore[arg-type]
        folders = [line.rpartition(b' "/" ')[2].decode() for line in lines]
        wanted = [campaign.nth_id(each) for each in range(size)]
        return sum(_moved(box, [name for name in folders if name != QUARANTINE], each) for each in wanted)


def _moved(box: imaplib.IMAP4, folders: Sequence[str], message_id: str) -> int:
    for folder in folders:
        box.select(folder)
        found = box.uid("SEARCH", "HEADER", "Message-ID", message_id)[1][0]
        if found:
            box.uid("MOVE", found.decode(), QUARANTINE)
            return 1
    return 0
