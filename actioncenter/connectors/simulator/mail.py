"""Verbs on messages, attachments, mailboxes and the tenant's block lists."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from actioncenter.actions.enums import ActionType as T
from actioncenter.actions.enums import TargetKind
from actioncenter.connectors.base import Json, Outcome, Target
from actioncenter.connectors.simulator.scene import MAILBOX, MESSAGE, SENDER, URL, Ref, Scene, State
from actioncenter.connectors.simulator.verbs import Case, Change, Verb, done, failed, number, restores, text

INBOX: Final = "Inbox"
JUNK: Final = "Junk"
DELETED: Final = "Deleted Items"
RECOVERABLE: Final = "Recoverable Items/Deletions"
QUARANTINE: Final = "Quarantine"
PURGED: Final = ""
OUT_OF_REACH: Final = frozenset({"On-prem/External", "Dropped", "Unknown"})
"""Delivery locations in which nothing can be done (domain §3.3)."""
_FOLDERS: Final[Mapping[str, str]] = {
    "inbox": INBOX,
    "inboxfolder": INBOX,
    "junk": JUNK,
    "junkfolder": JUNK,
    "junkemail": JUNK,
    "deleteditems": DELETED,
    "deletedfolder": DELETED,
    "recoverableitems": RECOVERABLE,
    "softdeleted": RECOVERABLE,
    "quarantine": QUARANTINE,
    "harddeleted": PURGED,
    "onprem/external": "On-prem/External",
    "external": "On-prem/External",
    "failed": "Dropped",
    "dropped": "Dropped",
    "unknown": "Unknown",
}


def folder_named(name: str) -> str:
    """Our name of a folder; sources spell them differently. Unknown names are the user's own folders."""
    return _FOLDERS.get("".join(name.casefold().replace("_", "").replace("-", "").split()), name)


# Messages


def mailbox_of(target: Target) -> str:
    """Whose copy is meant; the tenant's binding reaches every mailbox."""
    if target.kind is TargetKind.MAILBOX:
        return target.remote.lower()
    return (text(target.facts, "mailbox", "recipient") or target.remote).lower()


def _message_ids(target: Target) -> list[str]:
    """Sources name a message by the id of its network, of its header, or both."""
    names = ("message_id", "internet_message_id", "network_message_id")
    return [found for name in names if (found := text(target.facts, name))]


def assumed_id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(("message", *parts))))


def _locate_message(scene: Scene, target: Target) -> Ref:
    stable, mailbox = text(target.facts, "stable_id"), mailbox_of(target)
    if stable:
        return Ref(MESSAGE, "", stable)
    ids = _message_ids(target)
    for message_id in ids:
        for ref, state in scene.messages(message_id):
            if state["mailbox"] == mailbox:
                return ref
    return Ref(MESSAGE, "", assumed_id(mailbox, ids[0] if ids else target.key))


def _attachment(target: Target) -> State:
    facts = target.facts
    return {
        "name": text(facts, "attachment_name", "file_name", "name"),
        "sha256": text(facts, "attachment_sha256", "sha256").lower(),
        "size": number(facts, "size"),
    }


def new_message(folder: str) -> Callable[[Target], State]:
    """A message nobody told the estate about, in the folder where the verb would find it."""

    def state(target: Target) -> State:
        facts = target.facts
        return {
            "mailbox": mailbox_of(target),
            "message_id": next(iter(_message_ids(target)), ""),
            "folder": folder_named(text(facts, "folder", "location")) or folder,
            "flags": list(facts.get("flags") or []),
            "sender": text(facts, "sender").lower(),
            "subject": text(facts, "subject"),
            "urls": list(facts.get("urls") or []),
            "cluster": text(facts, "cluster"),
        }

    return state


def _new_message_with(*, quarantined: bool) -> Callable[[Target], State]:
    def state(target: Target) -> State:
        return {
            **new_message(INBOX)(target),
            "attachments": [{**_attachment(target), "quarantined": quarantined}],
        }

    return state


def _moves_to(folder: str) -> Callable[[Case], Change]:
    def change(case: Case) -> Change:
        now = case.state["folder"]
        if now in OUT_OF_REACH:
            return failed(f"not_actionable: the message is in {now}")
        if now == PURGED and folder != PURGED:
            return Change(Outcome.GONE, after={"folder": PURGED})
        return done(case, {"folder": folder})

    return change


def _moves_back(case: Case) -> Change:
    if case.state["folder"] == PURGED and case.before.get("folder") != PURGED:
        return failed("gone: the message was deleted for good")
    return restores(folder=INBOX)(case)


def _found_attachment(case: Case) -> tuple[int, State]:
    """Its place in the message and its state; an assumed message has whatever evidence says it has."""
    wanted = _attachment(case.target)
    held: list[State] = case.state.get("attachments", [])
    for place, attachment in enumerate(held):
        same_hash = wanted["sha256"] and attachment.get("sha256") == wanted["sha256"]
        if same_hash or (not wanted["sha256"] and attachment.get("name") == wanted["name"]):
            return place, attachment
    return (len(held), wanted) if case.assumed else (-1, {})


def _sets_attachment(quarantined: bool) -> Callable[[Case], Change]:
    def change(case: Case) -> Change:
        place, attachment = _found_attachment(case)
        if place < 0:
            return (
                failed("gone: the message has no such attachment")
                if not quarantined
                else Change(Outcome.GONE)
            )
        want = quarantined if quarantined else bool(case.before.get("quarantined", False))
        # An attachment that only evidence knows of is where the verb expects to find it.
        now = bool(attachment.get("quarantined", not quarantined))
        recorded: Json = {"before": {"quarantined": now}, "after": {"quarantined": want}}
        if now == want:
            return Change(Outcome.ALREADY, **recorded)
        held = [*case.state.get("attachments", [])]
        held[place : place + 1] = [{**attachment, "quarantined": want}]
        return Change(Outcome.SUCCEEDED, [(case.ref, {**case.state, "attachments": held})], **recorded)

    return change


_IDENTITY: Final = ("mailbox", "message_id", "sender", "subject")
"""A reference under which there is another message now is another message."""


def _message(change: Callable[[Case], Change], says: str, found_in: str = INBOX) -> Verb:
    return Verb(_locate_message, new_message(found_in), change, says, material=_IDENTITY)


# Mailboxes


def _locate_mailbox(_: Scene, target: Target) -> Ref:
    return Ref(MAILBOX, "", mailbox_of(target))


def new_mailbox(target: Target) -> State:
    """`forwarding` and `delegates` are what evidence says, else something that can be seen to go."""
    named = text(target.facts, "forward_to", "address")
    to = "" if named.lower() == target.remote.lower() else named
    delegate = text(target.facts, "delegate").lower()
    return {
        "internal": True,
        "forwarding": [{"to": to or "an address the evidence doesn't name", "external": True}],
        "delegates": {delegate or "a delegate the evidence doesn't name": True},
    }


def _stop_forwarding(case: Case) -> Change:
    kept = [rule for rule in case.state["forwarding"] if not rule.get("external", True)]
    return done(case, {"forwarding": kept})


def _remove_delegates(case: Case) -> Change:
    held: dict[str, bool] = case.state["delegates"]
    named = text(case.facts, "delegate").lower()
    chosen = [named] if named else list(held)
    # A mailbox known from evidence only has the delegate that evidence names.
    removed = [delegate for delegate in chosen if held.get(delegate, case.assumed)]
    left = {**held, **dict.fromkeys(removed, False)}
    edits = [(case.ref, {**case.state, "delegates": left})] if removed else []
    outcome = Outcome.SUCCEEDED if removed else Outcome.ALREADY
    return Change(outcome, edits, before={"removed": removed}, after={"delegates": left})


def _restore_delegates(case: Case) -> Change:
    removed = case.before.get("removed")
    if removed is None:
        return failed("nothing_recorded: there is no record of what to restore")
    held: dict[str, bool] = case.state["delegates"]
    missing = [delegate for delegate in removed if not held.get(delegate)]
    back = {**held, **dict.fromkeys(missing, True)}
    edits = [(case.ref, {**case.state, "delegates": back})] if missing else []
    return Change(Outcome.SUCCEEDED if missing else Outcome.ALREADY, edits, after={"delegates": back})


# Block lists


def _locate_url(_: Scene, target: Target) -> Ref:
    return Ref(URL, "", text(target.facts, "url", "value", "name") or target.key)


def _locate_sender(_: Scene, target: Target) -> Ref:
    return Ref(SENDER, "", text(target.facts, "sender", "address", "value", "name").lower() or target.key)


def _not_blocked(_: Target) -> State:
    return {"blocked": False, "days": None}


def _block(case: Case) -> Change:
    """Blocked for so many days from now on; 0 is without end."""
    want: dict[str, Any] = {"blocked": True, "days": case.request.parameters.get("days", 0)}
    change = done(case, want)
    if not change.edits:
        return change
    return Change(
        change.outcome, [(case.ref, {**case.state, **want, "since": case.now})], change.before, change.after
    )


def _unblock(case: Case) -> Change:
    blocked = bool(case.before.get("blocked", False))
    days = case.before.get("days") if blocked else None
    left = case.before.get("left")
    now = {name: case.state.get(name) for name in ("blocked", "days")}
    want = {"blocked": blocked, "days": days}
    if left is not None and now not in (want, left):
        return failed("conflict: the block was changed since and is left as it is", **now)
    change = done(case, want)
    state = {name: value for name, value in {**case.state, **want}.items() if name != "since"}
    return Change(change.outcome, [(case.ref, state)] if change.edits else [], change.before, change.after)


MAIL_VERBS: Final[Mapping[T, Verb]] = {
    T.BLOCK_URL: Verb(_locate_url, _not_blocked, _block, "A click on it is stopped; mail stays where it is."),
    T.UNBLOCK_URL: Verb(_locate_url, _not_blocked, _unblock, "A click on it is let through again."),
    T.BLOCK_SENDER: Verb(_locate_sender, _not_blocked, _block, "New mail from this sender is refused."),
    T.UNBLOCK_SENDER: Verb(_locate_sender, _not_blocked, _unblock, "New mail from this sender is let in again."),
    T.SOFT_DELETE_EMAIL: _message(_moves_to(RECOVERABLE), "move to where only administrators can restore them"),
    T.QUARANTINE_EMAIL: _message(_moves_to(QUARANTINE), "move to the quarantine"),
    T.MOVE_TO_JUNK: _message(_moves_to(JUNK), "move to Junk"),
    T.MOVE_TO_INBOX: _message(_moves_to(INBOX), "move to the Inbox", JUNK),
    T.MOVE_TO_DELETED: _message(_moves_to(DELETED), "move to Deleted Items"),
    T.HARD_DELETE_EMAIL: _message(_moves_to(PURGED), "are deleted for good"),
    T.RESTORE_EMAIL: _message(_moves_back, "return to the folder they came from", RECOVERABLE),
    T.RELEASE_EMAIL: _message(_moves_back, "return to the folder they came from", QUARANTINE),
    T.QUARANTINE_ATTACHMENT: Verb(
        _locate_message, _new_message_with(quarantined=False), _sets_attachment(True),
        "The attachment is taken out of the message and kept in the quarantine.",
    ),
    T.RELEASE_ATTACHMENT: Verb(
        _locate_message, _new_message_with(quarantined=True), _sets_attachment(False),
        "The attachment is put back into the message.",
    ),
    T.TURN_OFF_FORWARDING: Verb(
        _locate_mailbox, new_mailbox, _stop_forwarding, "Mail is no longer forwarded to the outside.",
        material=("forwarding",),
    ),
    T.RESTORE_FORWARDING: Verb(
        _locate_mailbox, new_mailbox, restores(forwarding=None), "Mail is forwarded again as it was."
    ),
    T.REMOVE_DELEGATION: Verb(
        _locate_mailbox, new_mailbox, _remove_delegates, "The delegate can no longer open the mailbox."
    ),
    T.RESTORE_DELEGATION: Verb(
        _locate_mailbox, new_mailbox, _restore_delegates, "The delegate can open the mailbox again."
    ),
}  # fmt: skip
