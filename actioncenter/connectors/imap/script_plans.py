"""What would happen to the forwarding of mailboxes, and what is there: both only read."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Json, Observed, Outcome, Plan, Request
from actioncenter.connectors.imap.forwarding import VERBS, ScriptWork, holds
from actioncenter.connectors.imap.saying import digest_of

_ALREADY: Final = {
    ActionType.TURN_OFF_FORWARDING: "Nothing of {mailbox} is forwarded to the outside by a script.",
    ActionType.RESTORE_FORWARDING: "Mail of {mailbox} is forwarded as it was before.",
}


def plan(request: Request, works: Sequence[ScriptWork]) -> Plan:
    forwards = [each for work in works for each in _forwards(request.type, work)]
    return Plan(
        {"mailboxes": len(works), "external": [each["to"] for each in forwards]},
        [f"Mail from {each['mailbox']} to {each['to']} {VERBS[request.type].says}." for each in forwards],
        forwards,
        [warning for work in works for warning in _warnings(request.type, work)],
        digest(request, works),
    )


def verify(works: Sequence[ScriptWork]) -> Observed:
    in_force: dict[str, bool | None] = {}
    detail: dict[str, Json] = {}
    for work in works:
        for target in work.targets:
            in_force[target.key] = holds(work.verb, target, work.scripts) if work.scripts else None
            detail[target.key] = work.scripts.shown() if work.scripts else {}
    return Observed(in_force, detail)


def digest(request: Request, works: Iterable[ScriptWork]) -> str:
    """Over material facts only: which script counts in which mailbox, and where mail goes by it."""
    things = sorted(
        json.dumps([work.address, work.scripts.shown() if work.scripts else None]) for work in works
    )
    return digest_of(request, things)


def _forwards(kind: ActionType, work: ScriptWork) -> Iterator[Json]:
    """One for each address, because a mailbox can have several."""
    leaving = work.scripts.leaving() if work.scripts else {}
    if kind is ActionType.RESTORE_FORWARDING:
        leaving = work.targets[0].before.get("external", {})
    for script, addresses in leaving.items():
        for address in addresses:
            yield {
                "kind": "forward",
                "mailbox": work.address,
                "script": script,
                "to": address,
                "external": True,
            }


def _warnings(kind: ActionType, work: ScriptWork) -> Iterator[str]:
    if work.missing:
        yield f"{work.address}: {work.missing.partition(': ')[2]}"
    elif work.scripts and (unseen := work.scripts.unseen()):
        words = " and ".join(unseen)
        yield f"A script of {work.address} also uses {words}, which can't be followed from here."
    for change in work.decisions.values():
        if change.outcome is Outcome.ALREADY:
            yield _ALREADY[kind].format(mailbox=work.address)
        elif change.error:
            yield f"{work.address}: {change.error.partition(': ')[2]}"
