"""An attachment out of a message and back: the original goes to the quarantine, a copy without the part stays.

Nothing is kept elsewhere: the original, which its owner can't reach there, is what an undo puts back, so that it is
the same to the byte and under the same lasting name. Deciding is pure, as with whole messages.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actioncenter.actions.enums import ActionType as T
from actioncenter.connectors.base import Json, Outcome, Target
from actioncenter.connectors.imap.mailbox import Copy
from actioncenter.connectors.imap.names import shown
from actioncenter.connectors.imap.opened import text
from actioncenter.connectors.imap.splicing import Part, Wish, carried, without

WHOLE: Final = "It can't be taken out without harm, so the whole message lies in the quarantine."


@dataclass(frozen=True, slots=True)
class Held:
    """A copy of the message as it lies there. `carries` the attachment; `stub` is the digest of its text without it,
    "" if the part can't go; `digest` that of its own.
    """

    copy: Copy
    digest: str
    carries: bool
    stub: str = ""

    @classmethod
    def of(cls, copy: Copy, raw: bytes, wish: Wish) -> "Held":
        parts = carried(raw, wish)
        stub = spliced(raw, parts, wish) if parts else None
        return cls(copy, digest(raw), bool(parts), digest(stub) if stub else "")

    def place(self) -> Json:
        return {**self.copy.place(), "stub": self.stub}


def spliced(raw: bytes, parts: list[Part], wish: Wish) -> bytes | None:
    """The message without these parts, which are what is wished; None where they can't go."""
    stub = without(raw, parts)
    return None if stub is None or carried(stub, wish) else stub


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Swap:
    """The original goes `to` a folder. Before that a text of the digest `lay` is laid down where it was, unless empty;
    afterwards `drop` gives the original its marks and goes.
    """

    original: Copy
    to: str
    lay: str = ""
    drop: Copy | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Where there are no swaps, `outcome` is the end. `begun`: an earlier step did a part of it."""

    swaps: Sequence[Swap] = ()
    outcome: Outcome = Outcome.SUCCEEDED
    error: str = ""
    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)
    begun: bool = False

    @property
    def touches(self) -> bool:
        return bool(self.swaps)


@dataclass(frozen=True, slots=True)
class Case:
    """One target, every copy of its message, and our own record from before a crash, if there is one."""

    target: Target
    held: Sequence[Held]
    quarantine: str
    intent: Json | None = None

    def inside(self) -> list[Held]:
        return [held for held in self.held if held.copy.folder == self.quarantine]

    def outside(self, *, carrying: bool) -> list[Held]:
        return [
            held for held in self.held if held.copy.folder != self.quarantine and held.carries is carrying
        ]


def takes_out(case: Case) -> Decision:
    """Of every copy that its owner can reach."""
    carrying, gone = case.outside(carrying=True), {held.copy.id for held in case.inside()}
    recorded = case.intent["before"]["places"] if case.intent else []
    moved = [place for place in recorded if place["id"] in gone]
    laid = _laid(recorded, moved, (held.digest for held in case.outside(carrying=False)))
    places = [*moved, *(held.place() for held in carrying)]
    before: Json = {"places": places, "left": {"folder": case.quarantine}} if places else {}
    after: Json = {"folder": shown(case.quarantine)} if places else {}
    if not all(place["stub"] for place in places):
        after["note"] = WHOLE
    if not carrying and not moved:
        there = any(held.carries for held in case.inside())
        return Decision(outcome=Outcome.ALREADY if there else Outcome.GONE)
    swaps = [Swap(held.copy, case.quarantine, "" if held.copy.id in laid else held.stub) for held in carrying]
    return Decision(swaps, before=before, after=after, begun=bool(moved or laid))


def _laid(recorded: Sequence[Json], moved: Sequence[Json], stubs: Iterable[str]) -> set[str]:
    """Originals that are still there although a step that broke off had laid down the copy without the part."""
    left = list(stubs)
    laid = set()
    for place in [*moved, *(place for place in recorded if place not in moved)]:
        if place["stub"] in left:
            left.remove(place["stub"])
            laid.add(place["id"])
    return laid - {place["id"] for place in moved}


def puts_back(case: Case) -> Decision:
    """Each original goes where the copy without the part lies now, and gets the marks that its owner gave that one."""
    places: Sequence[Mapping[str, Any]] | None = case.target.before.get("places")
    if not places:
        return Decision(outcome=Outcome.FAILED, error="nothing_recorded: there is no record of where it was")
    stubs, originals = case.outside(carrying=False), {held.copy.id: held.copy for held in case.held}
    swaps, ends = [], set()
    for place in places:
        original = originals.get(place["id"])
        stub = next((held for held in stubs if held.digest == place["stub"]), None)
        if original is None:
            return Decision(outcome=Outcome.FAILED, error="gone: the original no longer exists")
        if original.folder == case.quarantine and stub is None and place["stub"]:
            error = "conflict: its owner deleted or changed the message; the original stays in the quarantine"
            return Decision(outcome=Outcome.FAILED, error=error)
        to = place["folder"] if stub is None else stub.copy.folder
        to = to if original.folder == case.quarantine else original.folder
        if stub is not None:
            stubs.remove(stub)
        if stub is not None or original.folder == case.quarantine:
            swaps.append(Swap(original, to, drop=stub.copy if stub else None))
        ends.add(to)
    back = any(originals[place["id"]].folder != case.quarantine for place in places)
    outcome = Outcome.SUCCEEDED if case.intent else Outcome.ALREADY
    after = {"folder": ", ".join(sorted(map(shown, ends)))}
    return Decision(swaps, outcome, after=after, begun=back)


@dataclass(frozen=True, slots=True)
class AttachmentVerb:
    """`says` ends a sentence about the attachment."""

    decide: Callable[[Case], Decision]
    says: str


VERBS: Final[Mapping[T, AttachmentVerb]] = {
    T.QUARANTINE_ATTACHMENT: AttachmentVerb(takes_out, "is taken out and kept in the quarantine"),
    T.RELEASE_ATTACHMENT: AttachmentVerb(puts_back, "is put back"),
}


def holds(verb: AttachmentVerb, case: Case) -> bool:
    """Whether the wanted state is there. Gone is as good as taken out, but never as good as put back."""
    found = verb.decide(case)
    return not found.touches and found.outcome in {Outcome.ALREADY, Outcome.GONE}


def wish_of(target: Target) -> Wish:
    facts = target.facts
    return Wish(
        text(facts, "attachment_sha256", "sha256").lower(),
        text(facts, "sha1").lower(),
        text(facts, "attachment_name", "file_name", "name"),
    )
