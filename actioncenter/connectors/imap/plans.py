"""What would happen, and what is there: both only read."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import TargetKind
from actioncenter.connectors.base import (
    Json,
    Observed,
    Outcome,
    Plan,
    Request,
    Target,
    Transient,
    is_left_out,
)
from actioncenter.connectors.imap import attachment_plans, attachments, directory, forwarding, script_plans
from actioncenter.connectors.imap.finding import Criteria, Found, Hits, find
from actioncenter.connectors.imap.forwarding import ScriptWork
from actioncenter.connectors.imap.ledger import Records
from actioncenter.connectors.imap.names import shown
from actioncenter.connectors.imap.opened import address_of, text, wanted_of
from actioncenter.connectors.imap.running import W, each_mailbox, looked_at
from actioncenter.connectors.imap.saying import counted, digest_of
from actioncenter.connectors.imap.session import Door
from actioncenter.connectors.imap.swapping import AttachmentWork
from actioncenter.connectors.imap.verbs import VERBS, Verb, destroys, holds
from actioncenter.connectors.imap.working import Work

_BY_FACT: Final = ("sender", "sender_domain", "subject", "url", "attachment_sha256", "body_sha256")


def plan(door: Door, request: Request) -> Plan:
    """Raises Transient and Permanent."""
    if request.type in forwarding.VERBS:
        return script_plans.plan(request, scripts_of(door, request))
    if request.type in attachments.VERBS:
        return attachment_plans.plan(request, attachments_of(door, request))
    targets, gaps, clustered = expanded(door, request.targets)
    works = opened(door, messages_of(request, targets), strictly=not clustered)
    observed = _observed(works, complete=not gaps)
    return Plan(
        observed,
        _changes(VERBS[request.type], works),
        _affected(door, works),
        [*gaps, *_warnings(request, door, works)],
        _digest_of(request, works),
        targets if clustered else None,
    )


def expanded(door: Door, targets: Sequence[Target]) -> tuple[list[Target], list[str], bool]:
    """Clusters replaced by their messages; why that may not be all; whether there was a cluster."""
    found: dict[str, Target] = {}
    gaps: list[str] = []
    for target in targets:
        if target.kind is TargetKind.CLUSTER:
            members, missing = _members(door, target)
            found |= {each.key: each for each in members}
            gaps += missing
        else:
            found.setdefault(target.key, target)
    return list(found.values()), gaps, any(target.kind is TargetKind.CLUSTER for target in targets)


def _members(door: Door, cluster: Target) -> tuple[list[Target], list[str]]:
    """A find that doesn't contain what it began with has not seen everything, whatever the server says."""
    known = directory.read(door.settings)
    hits = find(door, criteria_of(cluster), known.addresses)
    seed = text(cluster.facts, "seed", "message_id")
    gaps = [f"Incomplete: {gap}" for gap in (*known.gaps(), *hits.gaps)]
    if seed and all(found.copy.message_id != seed for found in hits.found):
        gaps.insert(0, "Incomplete: the message that it began with was not found.")
    elif not hits.found:
        gaps.insert(0, "Incomplete: not one message was found.")
    return [each for each in frozen(hits) if not is_left_out(each.facts, cluster)], gaps


def criteria_of(cluster: Target) -> Criteria:
    """From its facts: `messages` (ids, or mappings with message_id), else `criteria`, else what describes it."""
    facts = cluster.facts
    window = {name: facts[name] for name in ("since", "until") if facts.get(name)}
    named = [
        each.get("message_id") if isinstance(each, Mapping) else each for each in facts.get("messages") or []
    ]
    if any(named):
        return Criteria.read({"message_id": [str(each) for each in named if each], **window})
    given = facts.get("criteria")
    if isinstance(given, Mapping):
        return Criteria.read(given)
    return Criteria.read({name: facts[name] for name in _BY_FACT if facts.get(name)} | window)


def frozen(hits: Hits) -> Iterable[Target]:
    """One target for each message of a mailbox, whatever number of copies, under a key that stays the same."""
    seen: dict[str, Target] = {}
    for found in hits.found:
        key = hashlib.sha256(f"{found.mailbox} {found.copy.id}".encode()).hexdigest()[:32]
        seen.setdefault(key, Target(key, TargetKind.MESSAGE, found.mailbox, reference(found)))
    return seen.values()


def reference(found: Found) -> Json:
    return {
        "mailbox": found.mailbox,
        "stable_id": found.copy.id,
        "message_id": found.copy.message_id,
        "folder": shown(found.copy.folder),
        "sender": found.sender,
        "subject": found.subject,
        "received": found.copy.date,
        "size": found.copy.size,
    }


def opened(door: Door, works: Sequence[W], *, strictly: bool = True) -> Sequence[W]:
    """Each mailbox as it is now, closed again. Raises Transient if a mailbox is away, when that matters."""
    try:
        looked_at(works, door)
    finally:
        for work in works:
            work.close()
    if strictly and any(work.away for work in works):
        raise Transient("A mailbox can't be opened now.", retry_after=30.0, offline=True)
    return works


def messages_of(request: Request, targets: Iterable[Target]) -> list[Work]:
    return each_mailbox(Work, VERBS[request.type], targets, Records())


def scripts_of(door: Door, request: Request) -> Sequence[ScriptWork]:
    """As they are now."""
    verb = forwarding.VERBS[request.type]
    return opened(door, each_mailbox(ScriptWork, verb, request.targets, Records()))


def attachments_of(door: Door, request: Request) -> Sequence[AttachmentWork]:
    """As they are now."""
    verb = attachments.VERBS[request.type]
    return opened(door, each_mailbox(AttachmentWork, verb, request.targets, Records()))


def verify(door: Door, request: Request) -> Observed:
    if request.type in forwarding.VERBS:
        return script_plans.verify(scripts_of(door, request))
    if request.type in attachments.VERBS:
        return attachment_plans.verify(attachments_of(door, request))
    verb = VERBS[request.type]
    targets, _, _ = expanded(door, request.targets)
    in_force: dict[str, bool | None] = {}
    detail: dict[str, Json] = {}
    for work in opened(door, messages_of(request, targets)):
        for target in work.targets:
            case = work.cases.get(target.key)
            in_force[target.key] = holds(verb, case) if case is not None else None
            detail[target.key] = {"places": [_visible(copy.place()) for copy in case.copies] if case else []}
    return Observed(in_force, detail)


def _visible(place: Json) -> Json:
    """Numbers change with every move and say nothing to anybody."""
    kept = {name: place[name] for name in ("flags", "date", "size")}
    return {"folder": shown(place["folder"]), **kept}


def digest(door: Door, request: Request) -> str:
    """What a plan of this request would carry now. Asks the server only about messages it has no lasting name of."""
    if request.type in forwarding.VERBS:
        return script_plans.digest(request, scripts_of(door, request))
    if request.type in attachments.VERBS:
        return attachment_plans.digest(request, attachments_of(door, request))
    named = all(target.facts.get("stable_id") for target in request.targets)
    works = messages_of(request, request.targets)
    return _digest_of(request, works if named else opened(door, works))


def _digest_of(request: Request, works: Sequence[Work]) -> str:
    """Over material facts only: which messages, by what never changes, and how. Where they lie is none."""
    things = sorted(
        json.dumps([address_of(target), *_identity(work, target)])
        for work in works
        for target in work.targets
    )
    return digest_of(request, things)


def _identity(work: Work, target: Target) -> list[str]:
    wanted = wanted_of(target)
    case = work.cases.get(target.key)
    if wanted.id or case is None:
        return [wanted.id]
    return [wanted.message_id, *sorted({copy.id for copy in case.copies})]


# What people are told


def _observed(works: Sequence[Work], *, complete: bool) -> Json:
    cases = [case for work in works for case in work.cases.values()]
    folders = Counter(shown(copy.folder) for case in cases for copy in case.copies)
    return {"messages": len(cases), "mailboxes": len(works), "folders": dict(folders), "complete": complete}


def _moving(work: Work) -> int:
    return sum(1 for decision in work.decisions.values() if decision.touches)


def _changes(verb: Verb, works: Sequence[Work]) -> list[str]:
    messages, boxes = sum(map(_moving, works)), sum(1 for work in works if _moving(work))
    if not messages:
        return []
    return [
        f"{counted(messages, 'message', 'messages')} in {counted(boxes, 'mailbox', 'mailboxes')} {verb.says}."
    ]


def _affected(door: Door, works: Sequence[Work]) -> list[Json]:
    return [
        {
            "kind": "mailbox",
            "mailbox": work.address,
            "messages": _moving(work),
            "folders": dict(
                Counter(shown(copy.folder) for each in work.decisions.values() for copy in each.copies)
            ),
            "internal": work.address.rpartition("@")[2] in door.settings.domains,
        }
        for work in sorted(works, key=lambda work: work.address)
        if _moving(work)
    ]


def _warnings(request: Request, door: Door, works: Sequence[Work]) -> list[str]:
    ends: Counter[Any] = Counter(
        decision.outcome for work in works for decision in work.decisions.values() if not decision.touches
    )
    notes = (
        (ends[Outcome.ALREADY], "already where they should be"),
        (ends[Outcome.GONE], "no longer there"),
        (ends[Outcome.FAILED], "not where they were left, or without a record of where they were"),
        (sum(len(work.targets) for work in works if work.box is None), "in mailboxes that can't be opened"),
    )
    warnings = [f"{counted(number, 'message', 'messages')}: {note}." for number, note in notes if number]
    if CATALOGUE[request.type].inverse is None and not CATALOGUE[request.type].is_inverse:
        warnings.append("This can't be undone.")
    if VERBS[request.type].decide is destroys and not door.settings.expunged:
        warnings.append(
            "If this server keeps what was expunged, those copies stay: the connector isn't told where."
        )
    return warnings
