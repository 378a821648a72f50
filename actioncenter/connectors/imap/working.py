"""The messages of one mailbox: opened, looked at, moved, read back. Runs in a thread of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actioncenter.connectors.base import Json, Outcome, Result, Target
from actioncenter.connectors.imap.mailbox import Copy, by_folder
from actioncenter.connectors.imap.opened import NAMELESS, Opened, result_of, wanted_of
from actioncenter.connectors.imap.verbs import (
    Case,
    Decision,
    Verb,
    decide,
    destroys,
    intent_of,
    is_untouched,
    moves_back,
)
from actioncenter.connectors.imap.wire import Lost

ROUNDS: Final = 3
"""How often a message is looked for and tried again before it counts as failed."""
At = tuple[str, int, int]


@dataclass
class Work(Opened):
    """On the messages of one mailbox in one step."""

    verb: Verb
    cases: dict[str, Case] = field(default_factory=dict)
    _there: dict[At, tuple[int, int]] = field(default_factory=dict)
    _refused: dict[At, str] = field(default_factory=dict)
    _dropped: dict[At, Copy] = field(default_factory=dict)

    # Looking

    def look(self, targets: Sequence[Target] | None = None) -> None:
        """Where each message is now, and what is left to do. Raises Lost."""
        targets = self.targets if targets is None else targets
        wanted = {target.key: each for target in targets if (each := wanted_of(target)).is_named}
        copies = self.here.locate(list(wanted.values()))
        hidden = self._hidden(wanted.values()) if self.verb.decide is destroys else []
        to, folders, ours = (
            self.verb.to(self.here),
            frozenset(self.here.folders()),
            frozenset(self.here.ours()),
        )
        for target in targets:
            if target.key not in wanted:
                self.decisions[target.key] = Decision(outcome=Outcome.FAILED, error=NAMELESS)
                continue
            meets = wanted[target.key].meets
            old = self.cases.get(target.key)
            case = Case(
                target, list(filter(meets, copies)), to, folders, old.lost if old else frozenset(),
                self.intents.get(target.key), list(filter(meets, hidden)), ours,
            )  # fmt: skip
            self.cases[target.key], self.decisions[target.key] = case, decide(self.verb, case)

    def _hidden(self, wanted: Any) -> list[Copy]:
        return self.here.locate(list(wanted), self.here.hidden())

    def record_of(self, key: str) -> Json:
        return intent_of(self.cases[key], self.decisions[key])

    def give_up(self) -> None:
        """What was begun and will not be finished is unknown, unless all of it is as it was before."""
        for key in self.touching:
            if not is_untouched(self.verb, self.intents[key], self.decisions[key]):
                self.results[key] = Result(key, Outcome.UNKNOWN, error="unclear: it broke off in the middle")

    # Touching

    def carry_out(self) -> None:
        """Touch, then look again where the server didn't name what it did. Never raises Lost: see `lost`."""
        try:
            for turn in range(ROUNDS):
                self._round()
                left = [case.target for key, case in self.cases.items() if key not in self.results]
                if not left:
                    return
                self.here.forget_folders()
                self.look(left)
                self._settle(last=turn == ROUNDS - 1)
        except Lost as error:
            self.lost = str(error)

    def _round(self) -> None:
        self._refused = {}
        open_ones = {key: each for key, each in self.decisions.items() if key not in self.results}
        drops = [copy for decision in open_ones.values() for copy in decision.drops]
        for group in by_folder(drops):
            if error := self._expunge(group):
                self._refused |= {copy.at: error for copy in group}
            else:
                self._dropped |= {copy.at: copy for copy in group}
        for copy, flags in (each for decision in open_ones.values() for each in decision.flags):
            if error := self.here.mark(copy.folder, (copy.uidvalidity, copy.uid), flags):
                self._refused[copy.at] = error
        self._move(each for decision in open_ones.values() for each in decision.moves)
        for key, decision in open_ones.items():
            # A record of an earlier step may speak of more than what was left to do now.
            if (
                decision.moves
                and not decision.drops
                and all(copy.at in self._there for copy, _ in decision.moves)
            ):
                self.results[key] = self._done(key)

    def _move(self, moves: Iterable[tuple[Copy, str]]) -> None:
        to: dict[str, list[Copy]] = {}
        for copy, folder in moves:
            if copy.at not in self._refused:
                to.setdefault(folder, []).append(copy)
        for folder, copies in to.items():
            for group in by_folder(copies):
                moved = self.here.move(group, folder)
                self._there |= moved.to
                self._refused |= moved.refused

    def _expunge(self, group: list[Copy]) -> str:
        """The second copy of a move that broke off must not live on among what the server keeps either."""
        if self.verb.decide is destroys:
            return self.here.expunge(group)
        return self.here.erase(group)

    def _settle(self, *, last: bool) -> None:
        """What is still to be done after it was looked for again is tried again, or has failed."""
        for key, case in list(self.cases.items()):
            decision = self.decisions[key]
            if key in self.results:
                continue
            if not decision.touches:
                done = decision.outcome is Outcome.SUCCEEDED
                self.results[key] = self._done(key) if done else result_of(key, decision)
            elif error := self._error(decision):
                missing = frozenset(folder for _, folder in decision.moves if folder not in case.folders)
                if self.verb.decide is moves_back and missing - case.lost and not last:
                    self.cases[key] = replace(case, lost=case.lost | missing)
                    self.decisions[key] = decide(self.verb, self.cases[key])
                else:
                    self.results[key] = Result(key, Outcome.FAILED, error=error)
            elif last:
                self.results[key] = Result(key, Outcome.FAILED, error="not_moved: it stayed where it was")

    def _error(self, decision: Decision) -> str:
        return next((self._refused[copy.at] for copy in decision.copies if copy.at in self._refused), "")

    def _done(self, key: str) -> Result:
        intent = self.intents[key]
        before, after = dict(intent["before"]), dict(intent["after"])
        if "places" in before:
            before["places"] = [self._with_there(place) for place in before["places"]]
        if self.verb.decide is destroys:
            after = self._destroyed(key)
        elif self.verb.decide is moves_back:
            after = dict(self.decisions[key].after)
        return Result(key, Outcome.SUCCEEDED, before, after)

    def _destroyed(self, key: str) -> Json:
        """Said apart, because people take what was deleted for gone while the server still keeps it."""
        hidden, meets = set(self.here.hidden()), wanted_of(self.cases[key].target).meets
        gone = [copy for copy in self._dropped.values() if meets(copy)]
        kept = sum(1 for copy in gone if copy.folder in hidden)
        return {"copies": len(gone) - kept, "recoverable_copies": kept}

    def _with_there(self, place: Json) -> Json:
        at = (place["folder"], place["uidvalidity"], place["uid"])
        return {**place, "there": list(self._there[at])} if at in self._there else place
