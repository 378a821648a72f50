"""What would happen to the attachments of messages, and what is there: both only read."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Json, Observed, Outcome, Plan, Request
from actioncenter.connectors.imap.attachments import VERBS, Decision, holds, wish_of
from actioncenter.connectors.imap.names import shown
from actioncenter.connectors.imap.opened import wanted_of
from actioncenter.connectors.imap.saying import counted, digest_of
from actioncenter.connectors.imap.swapping import AttachmentWork


def plan(request: Request, works: Sequence[AttachmentWork]) -> Plan:
    decisions = [decision for work in works for decision in work.decisions.values()]
    copies = sum(len(decision.swaps) for decision in decisions)
    return Plan(
        {"messages": copies, "mailboxes": len(works)},
        [f"Of {counted(copies, 'message', 'messages')} the attachment {VERBS[request.type].says}."]
        if copies
        else [],
        [_affected(work) for work in works if any(each.swaps for each in work.decisions.values())],
        list(_warnings(request.type, works, decisions)),
        digest(request, works),
    )


def verify(works: Sequence[AttachmentWork]) -> Observed:
    in_force: dict[str, bool | None] = {}
    detail: dict[str, Json] = {}
    for work in works:
        for target in work.targets:
            case = work.cases.get(target.key)
            in_force[target.key] = holds(work.verb, case) if case else None
            places = [
                {
                    "folder": shown(held.copy.folder),
                    "flags": list(held.copy.flags),
                    "date": held.copy.date,
                    "size": held.copy.size,
                    "carries": held.carries,
                }
                for held in (case.held if case else ())
            ]
            detail[target.key] = {"places": sorted(places, key=json.dumps)}
    return Observed(in_force, detail)


def digest(request: Request, works: Sequence[AttachmentWork]) -> str:
    """Over material facts only: which originals, by what never changes, and which of their parts."""
    things = []
    for work in works:
        for target in work.targets:
            case, wish = work.cases.get(target.key), wish_of(target)
            originals = sorted(held.copy.id for held in case.held if held.carries) if case else []
            named = wanted_of(target)
            things.append(
                [work.address, named.id or named.message_id, *originals, wish.sha256, wish.sha1, wish.name]
            )
    return digest_of(request, sorted(things))


def _affected(work: AttachmentWork) -> Json:
    swaps = [swap for decision in work.decisions.values() for swap in decision.swaps]
    folders = Counter(shown(swap.original.folder) for swap in swaps)
    return {"kind": "mailbox", "mailbox": work.address, "messages": len(swaps), "folders": dict(folders)}


def _warnings(
    kind: ActionType, works: Sequence[AttachmentWork], decisions: Sequence[Decision]
) -> Iterator[str]:
    ends = Counter(decision.outcome for decision in decisions if not decision.swaps)
    swaps = [swap for decision in decisions for swap in decision.swaps]
    whole = sum(1 for swap in swaps if not swap.lay)
    notes = {
        "it can't be taken out without harm, so the whole message goes to the quarantine": (
            whole if kind is ActionType.QUARANTINE_ATTACHMENT else 0
        ),
        "already as they should be": ends[Outcome.ALREADY],
        "no longer there, or without such an attachment": ends[Outcome.GONE],
        "not as they were left, or without a record of how they were": ends[Outcome.FAILED],
        "in mailboxes that can't be opened": sum(len(work.targets) for work in works if work.box is None),
    }
    for note, number in notes.items():
        if number:
            yield f"{counted(number, 'message', 'messages')}: {note}."
    if kind is ActionType.QUARANTINE_ATTACHMENT and whole < len(swaps):
        yield "Signatures of the sender's server (DKIM) no longer fit these messages until it is put back."
