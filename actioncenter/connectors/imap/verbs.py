"""What each verb means for the copies of one message. Pure: computes, touches nothing.

Preview, effect, read-back and what follows a crash go through the same functions and so can't disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actioncenter.actions.enums import ActionType as T
from actioncenter.connectors.base import Json, Outcome, Target
from actioncenter.connectors.imap.mailbox import INBOX, Copy, Mailbox
from actioncenter.connectors.imap.names import shown


@dataclass(frozen=True, slots=True)
class Case:
    """One target with every copy of it. `intent` is our own record from before a crash, if there is one; `folders`
    are those that exist, `lost` those that the server won't make again, `ours` those out of their owners' reach.
    """

    target: Target
    copies: Sequence[Copy]
    to: str
    folders: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    intent: Json | None = None
    hidden: Sequence[Copy] = ()
    ours: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """`moves` and `drops` are what is left to do; where both are empty, `outcome` is the end.

    `flags` are those that a copy has to get back before it is moved.
    """

    moves: Sequence[tuple[Copy, str]] = ()
    drops: Sequence[Copy] = ()
    flags: Sequence[tuple[Copy, Sequence[str]]] = ()
    outcome: Outcome = Outcome.SUCCEEDED
    error: str = ""
    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)

    @property
    def copies(self) -> list[Copy]:
        return [*(copy for copy, _ in self.moves), *self.drops]

    @property
    def touches(self) -> bool:
        return bool(self.moves or self.drops)


@dataclass(frozen=True, slots=True)
class Verb:
    """`to` finds the folder it moves to; `says` ends a sentence about messages."""

    decide: Callable[[Case], Decision]
    to: Callable[[Mailbox], str]
    says: str


def moves_there(case: Case) -> Decision:
    """All copies go to one folder."""
    outside = [copy for copy in case.copies if copy.folder != case.to]
    there = [copy for copy in case.copies if copy.folder == case.to]
    if outside:
        before = {"places": [copy.place() for copy in outside], "left": {"folder": case.to}}
        return Decision(
            [(copy, case.to) for copy in outside], before=before, after={"folder": shown(case.to)}
        )
    if not there:
        return Decision(outcome=Outcome.GONE)
    before = {"places": [copy.place() for copy in there], "left": {"folder": case.to}}
    return Decision(outcome=Outcome.ALREADY, before=before, after={"folder": shown(case.to)})


def moves_back(case: Case) -> Decision:
    """Each copy goes where it was; what somebody else took elsewhere stays there.

    Where its owner couldn't reach it, other flags than before are the server's doing: one that is killed inside a
    move may forget which keyword a message had.
    """
    places: Sequence[Mapping[str, Any]] | None = case.target.before.get("places")
    if not places:
        return Decision(outcome=Outcome.FAILED, error="nothing_recorded: there is no record of where it was")
    left = case.target.before["left"]["folder"]
    pool = list(case.copies)
    moves: list[tuple[Copy, str]] = []
    flags: list[tuple[Copy, Sequence[str]]] = []
    ends: set[str] = set()
    for place in places:
        home = INBOX if place["folder"] in case.lost else str(place["folder"])
        copy = _taken(pool, place, left) or _taken(pool, place, home) or _at_the_inbox(pool, place, case)
        if copy is None:
            return _not_where_we_left_it(case, left)
        if copy.folder == left != home:
            moves.append((copy, home))
            if left in case.ours and list(copy.flags) != place["flags"]:
                flags.append((copy, place["flags"]))
        ends.add(home if copy.folder == left else copy.folder)
    after: Json = {"folder": ", ".join(sorted(map(shown, ends)))}
    if not ends <= {place["folder"] for place in places}:
        after["note"] = "The folder it came from can't be made again; it lies in the inbox."
    return Decision(moves, flags=flags, outcome=Outcome.ALREADY, after=after)


def _at_the_inbox(pool: list[Copy], place: Mapping[str, Any], case: Case) -> Copy | None:
    """Where an earlier step put it because its folder could not be made again."""
    return None if place["folder"] in case.folders else _taken(pool, place, INBOX)


def _taken(pool: list[Copy], place: Mapping[str, Any], folder: str) -> Copy | None:
    """The copy that was moved there: where several are the same message, the one with its number or its flags."""
    same = [copy for copy in pool if copy.folder == folder and copy.id == place["id"]]
    if not same:
        return None
    there = tuple(place.get("there", ()))
    best = max(
        same, key=lambda each: ((each.uidvalidity, each.uid) == there, list(each.flags) == place["flags"])
    )
    pool.remove(best)
    return best


def _not_where_we_left_it(case: Case, left: str) -> Decision:
    if not case.copies:
        return Decision(outcome=Outcome.FAILED, error="gone: the message no longer exists")
    now = ", ".join(sorted({shown(copy.folder) for copy in case.copies}))
    error = f"conflict: it was moved from {shown(left)} to {now} since and is left there"
    return Decision(outcome=Outcome.FAILED, error=error, after={"folder": now})


def destroys(case: Case) -> Decision:
    """Every copy, the hidden ones included."""
    copies = [*case.copies, *case.hidden]
    if copies:
        return Decision(
            drops=copies, after={"copies": len(case.copies), "recoverable_copies": len(case.hidden)}
        )
    return Decision(outcome=Outcome.GONE)


def decide(verb: Verb, case: Case) -> Decision:
    """What is left to do, a step that broke off in the middle included."""
    if case.intent is None or _never_happened(case, case.intent):
        return verb.decide(case)
    drops, unclear = _doubled(case, case.intent)
    if unclear:
        error = "unclear: an earlier move broke off, and some of its copies lie in both folders"
        return Decision(outcome=Outcome.UNKNOWN, error=error)
    rest = verb.decide(_without(case, drops))
    told = {"before": case.intent["before"], "after": rest.after or case.intent["after"]}
    if drops or rest.touches:
        return Decision(rest.moves, [*drops, *rest.drops], rest.flags, **told)
    done = Outcome.GONE if verb.decide is destroys else Outcome.ALREADY
    return Decision(outcome=Outcome.SUCCEEDED, **told) if rest.outcome is done else rest


def _never_happened(case: Case, intent: Json) -> bool:
    """None of the recorded moves arrived: where the message was then says nothing any more."""
    return bool(intent["moves"]) and all(
        _there(case, move["to"], move["id"]) <= move["there"] for move in intent["moves"]
    )


def _there(case: Case, folder: str, stable: str) -> int:
    return sum(1 for copy in case.copies if copy.folder == folder and copy.id == stable)


def _without(case: Case, drops: Sequence[Copy]) -> Case:
    left = [copy for copy in case.copies if copy not in drops]
    return replace(case, copies=left, intent=None)


def _doubled(case: Case, intent: Json) -> tuple[list[Copy], bool]:
    """Source copies whose move arrived although the server died before it took them away.

    Also whether only some of several arrived, so that nobody can say which.
    """
    drops: list[Copy] = []
    groups: dict[tuple[str, str], list[Json]] = {}
    for move in intent["moves"]:
        groups.setdefault((move["to"], move["id"]), []).append(move)
    for (to, stable), moves in groups.items():
        sources = {(move["folder"], move["uidvalidity"], move["uid"]) for move in moves}
        present = [copy for copy in case.copies if copy.at in sources and copy.id == stable]
        doubled = _there(case, to, stable) - moves[0]["there"] - (len(moves) - len(present))
        if 0 < doubled < len(present):
            return [], True
        drops += present if doubled > 0 else []
    return drops, False


def intent_of(case: Case, decision: Decision) -> Json:
    """What has to be known after a crash: each move, and how many of the same were there before."""
    return {
        "before": decision.before,
        "after": decision.after,
        "touched": touched_by(decision),
        "moves": [
            {
                **copy.place(),
                "to": to,
                "there": _there(case, to, copy.id),
            }
            for copy, to in decision.moves
        ],
    }


def is_untouched(verb: Verb, intent: Json, decision: Decision) -> bool:
    """Whether all that was recorded is still to be done, so that nothing of it has begun."""
    doubled = bool(decision.drops) and verb.decide is not destroys
    return not doubled and touched_by(decision) == intent["touched"]


def touched_by(decision: Decision) -> list[list[object]]:
    """Where the copies lie that it touches, as a record holds it."""
    return sorted([*copy.at] for copy in decision.copies)


def holds(verb: Verb, case: Case) -> bool:
    """Whether the wanted state is there. Gone is as good as removed, but never as good as restored."""
    found = verb.decide(case)
    return not found.touches and found.outcome in {Outcome.ALREADY, Outcome.GONE}


def _own(attribute: str) -> Callable[[Mailbox], str]:
    return lambda box: box.named(getattr(box.settings, attribute))


def _special(attribute: str, usual: str) -> Callable[[Mailbox], str]:
    return lambda box: box.special(attribute, usual)


def _nowhere(_: Mailbox) -> str:
    return ""


VERBS: Final[Mapping[T, Verb]] = {
    T.QUARANTINE_EMAIL: Verb(
        moves_there, _own("quarantine"), "move to the quarantine, out of their owners' reach"
    ),
    T.SOFT_DELETE_EMAIL: Verb(
        moves_there, _own("recoverable"), "move to where only administrators can restore them"
    ),
    T.MOVE_TO_JUNK: Verb(moves_there, _special("\\junk", "Junk"), "move to the junk folder"),
    T.MOVE_TO_DELETED: Verb(moves_there, _special("\\trash", "Trash"), "move to the deleted items"),
    T.MOVE_TO_INBOX: Verb(moves_there, lambda _: INBOX, "move to the inbox"),
    T.HARD_DELETE_EMAIL: Verb(
        destroys, _nowhere, "are deleted for good, with the recoverable copies that the server keeps"
    ),
    T.RELEASE_EMAIL: Verb(moves_back, _nowhere, "return to the folder they came from"),
    T.RESTORE_EMAIL: Verb(moves_back, _nowhere, "return to the folder they came from"),
}
