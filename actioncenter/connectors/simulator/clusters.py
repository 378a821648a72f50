"""Which messages a cluster means, and searching the estate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from actioncenter.actions.enums import TargetKind
from actioncenter.connectors.base import Json, Page, Permanent, Reading, Target, is_left_out
from actioncenter.connectors.simulator.faults import Behaviour, Faults
from actioncenter.connectors.simulator.mail import assumed_id
from actioncenter.connectors.simulator.scene import DEVICE, FILE, MAILBOX, MESSAGE, PROCESS, Ref, Scene, State
from actioncenter.connectors.simulator.verbs import text

ASSUMED_AT_MOST: Final = 1000
PAGE: Final = 200

_CONTENT: Final[Mapping[str, str]] = {
    "sha256": "json_extract(state, '$.sha256') = lower({})",
    "path": "json_extract(state, '$.path') = {}",
    "name": "json_extract(state, '$.name') = {}",
}
_SEARCHABLE: Final[Mapping[str, Mapping[str, str]]] = {
    MESSAGE: {
        "sender": "json_extract(state, '$.sender') = lower({})",
        "sender_domain": "json_extract(state, '$.sender') LIKE '%@' || {}",
        "subject": "json_extract(state, '$.subject') = {}",
        "subject_part": "instr(lower(json_extract(state, '$.subject')), lower({})) > 0",
        "message_id": "json_extract(state, '$.message_id') = {}",
        "mailbox": "json_extract(state, '$.mailbox') = lower({})",
        "recipient": "(json_extract(state, '$.mailbox') = lower({0}) OR EXISTS"
        " (SELECT 1 FROM json_each(state, '$.recipients') WHERE lower(value) = lower({0})))",
        "folder": "json_extract(state, '$.folder') = {}",
        "cluster": "json_extract(state, '$.cluster') = {}",
        "url": "EXISTS (SELECT 1 FROM json_each(state, '$.urls') WHERE value = {})",
        "since": "COALESCE(json_extract(state, '$.received'), 9e99) >= CAST({} AS REAL)",
        "until": "COALESCE(json_extract(state, '$.received'), 0) <= CAST({} AS REAL)",
        "attachment_name": "EXISTS (SELECT 1 FROM json_each(state, '$.attachments')"
        " WHERE lower(json_extract(value, '$.name')) = lower({}))",
        "attachment_sha256": "EXISTS (SELECT 1 FROM json_each(state, '$.attachments')"
        " WHERE json_extract(value, '$.sha256') = lower({}))",
    },
    FILE: {**_CONTENT, "sha1": "json_extract(state, '$.sha1') = lower({})"},
    PROCESS: _CONTENT,
}
_BY_FACT: Final = ("sender", "sender_domain", "subject", "url", "attachment_sha256")


def members(scene: Scene, cluster: Target) -> list[Target]:
    """The message copies of a cluster, under ids that stay the same from plan to plan.

    Facts: `messages` (message ids, or mappings with message_id and mailbox), else `criteria` or
    the facts sender, sender_domain, subject, url, attachment_sha256, else `count` alone. Where the
    estate holds nothing of it, messages are assumed as evidence describes them.
    """
    named = cluster.facts.get("messages")
    if isinstance(named, Sequence) and not isinstance(named, str) and named:
        found = [target for place, each in enumerate(named) for target in _named(scene, cluster, each, place)]
    else:
        found = [_frozen(ref, state) for ref, state in _matching(scene, _criteria(cluster.facts))]
    if isinstance(cluster.facts.get("criteria"), Mapping):
        # Somebody searched for it, so there is nothing else to be assumed.
        return [target for target in found if not is_left_out(target.facts, cluster)]
    return found or _assumed(cluster)


def _criteria(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    given = facts.get("criteria")
    if isinstance(given, Mapping):
        return {name: value for name, value in given.items() if name in _SEARCHABLE[MESSAGE]}
    return {name: facts[name] for name in _BY_FACT if text(facts, name)}


def _named(scene: Scene, cluster: Target, each: Any, place: int) -> Iterator[Target]:
    facts = each if isinstance(each, Mapping) else {"message_id": str(each)}
    message_id = text(facts, "message_id", "network_message_id")
    mailbox = text(facts, "mailbox", "recipient").lower()
    copies = [
        _frozen(ref, state)
        for ref, state in scene.messages(message_id)
        if not mailbox or state["mailbox"] == mailbox
    ]
    yield from copies or [_made_up(cluster, mailbox or _recipient(cluster, place), message_id)]


def _matching(scene: Scene, criteria: Mapping[str, Any]) -> Iterator[tuple[Ref, State]]:
    if not criteria:
        return iter(())
    conditions, values = _conditions(MESSAGE, criteria)
    return scene.where(MESSAGE, conditions, values)


def _conditions(kind: str, criteria: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """SQL for criteria; a list of values means any of them. Raises Permanent for an unknown one."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for name, wanted in criteria.items():
        template = _SEARCHABLE[kind].get(name)
        if template is None:
            raise Permanent("criteria", f"{kind.capitalize()} search knows {', '.join(_SEARCHABLE[kind])}.")
        several = wanted if isinstance(wanted, list | tuple) else [wanted]
        slots = [f"{name}_{place}" for place in range(len(several))]
        values |= dict(zip(slots, map(str, several), strict=True))
        conditions.append("(" + (" OR ".join(template.format(f":{slot}") for slot in slots) or "0") + ")")
    return conditions, values


def _frozen(ref: Ref, state: State) -> Target:
    facts = {
        name: state.get(name, "")
        for name in ("message_id", "mailbox", "folder", "sender", "subject", "cluster")
    }
    return Target(ref.name, TargetKind.MESSAGE, state["mailbox"], {**facts, "stable_id": ref.name})


def _assumed(cluster: Target) -> list[Target]:
    count = cluster.facts.get("count", 1)
    number = min(count, ASSUMED_AT_MOST) if isinstance(count, int) else 1
    return [
        _made_up(cluster, _recipient(cluster, place), f"{cluster.key}/{place}") for place in range(number)
    ]


def _recipient(cluster: Target, place: int) -> str:
    known = cluster.facts.get("recipients")
    if isinstance(known, Sequence) and not isinstance(known, str) and known:
        return str(known[place % len(known)]).lower()
    return f"recipient{place + 1}@simulated.example"


def _made_up(cluster: Target, mailbox: str, message_id: str) -> Target:
    stable = assumed_id(mailbox, message_id)
    state = {"message_id": message_id, "mailbox": mailbox, "folder": text(cluster.facts, "folder")}
    said = {name: text(cluster.facts, name) for name in ("sender", "subject")}
    return _frozen(Ref(MESSAGE, "", stable), {**state, **said, "cluster": cluster.key})


def search(scene: Scene, criteria: Mapping[str, Any], cursor: Json | None) -> Page:
    """One page of what meets `criteria`: its `kind` (message, file, process) and fields of that kind.

    What is offline can't be searched; then the page is not complete.
    """
    kind = str(criteria.get("kind", MESSAGE))
    if kind not in _SEARCHABLE:
        raise Permanent("criteria", f"Can be searched: {', '.join(_SEARCHABLE)}.")
    conditions, values = _conditions(
        kind, {name: wanted for name, wanted in criteria.items() if name != "kind"}
    )
    if kind == MESSAGE:
        conditions.append("json_extract(state, '$.folder') <> '' AND json_extract(state, '$.gone') IS NULL")
    after = cursor or {"owner": "", "name": ""}
    conditions.append("(owner, name) > (:after_owner, :after_name)")
    values |= {"after_owner": after["owner"], "after_name": after["name"]}
    found = list(scene.where(kind, conditions, values, limit=PAGE))
    away = _away(scene, kind)
    shown = [_reference(ref, state) for ref, state in found if state.get("mailbox", ref.owner) not in away]
    last = found[-1][0] if len(found) == PAGE else None
    return Page(shown, not away, {"owner": last.owner, "name": last.name} if last else None)


def _away(scene: Scene, kind: str) -> set[str]:
    faults = Faults(scene.sql)
    return {
        ref.name
        for ref, state in scene.of(MAILBOX if kind == MESSAGE else DEVICE)
        if faults.value(Behaviour.OFFLINE, ref.name) is not None or state.get("online") is False
    }


def _reference(ref: Ref, state: State) -> Json:
    owner = {"mailbox": state["mailbox"]} if ref.kind == MESSAGE else {"remote": ref.owner}
    shown = ("message_id", "folder", "sender", "subject", "path", "sha256", "sha1", "pid", "status")
    facts = {name: state[name] for name in shown if name in state}
    return {"kind": ref.kind, "stable_id": ref.name, **owner, **facts}


def read(scene: Scene, stable_id: str) -> Reading:
    """Raises Permanent."""
    state = scene.get(Ref(MESSAGE, "", stable_id))
    if state is None or not state["folder"] or state.get("gone"):
        raise Permanent("gone", "The message is no longer there.")
    shown = (("From", "sender"), ("To", "mailbox"), ("Subject", "subject"), ("Message-ID", "message_id"))
    headers = [(name, str(state.get(of, ""))) for name, of in shown]
    attachments = [
        {
            "name": str(each.get("name", "")),
            "type": "application/octet-stream",
            "size": each.get("size", 0),
            "sha256": str(each.get("sha256", "")),
        }
        for each in state.get("attachments") or []
    ]
    return Reading(headers, str(state.get("text", "")), list(state.get("urls") or []), attachments)
