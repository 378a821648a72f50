"""One call of `step`: what is left, which faults strike, what is done now.

The cursor is enough to go on after a crash: where we are in the list, whom we passed over because
it was offline, and how far long work has come.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from actioncenter.connectors.base import (
    Conflict,
    ConnectorError,
    Continue,
    Delivery,
    Done,
    Journal,
    Json,
    Outcome,
    Permanent,
    Request,
    Result,
    Target,
    Transient,
    Unknown,
    Unsupported,
)
from actioncenter.connectors.simulator.acting import act, pretend
from actioncenter.connectors.simulator.capabilities import THROUGH_PEERS, why_not
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.faults import Behaviour, Faults, struck
from actioncenter.connectors.simulator.ledger import Ledger
from actioncenter.connectors.simulator.scene import Scene
from actioncenter.connectors.simulator.table import case_of, host_of, owner_of, verb_of

SLOW_STAGES: Final = 4
_UNTOUCHED: Final = {
    Outcome.CANCELLED: "cancelled before it was touched",
    Outcome.TIMED_OUT: "the deadline passed before it was touched",
}


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of one instance; `pace` in seconds."""

    delivery: Delivery = Delivery.KEYED
    chunk: int = 100
    pace: float = 6.0


@dataclass(frozen=True, slots=True)
class Place:
    """The cursor: targets before `next` are done, except those `left`, by their place in the list."""

    next: int = 0
    left: tuple[int, ...] = ()
    stage: int = 0
    not_before: float = 0.0

    @classmethod
    def read(cls, cursor: Json | None) -> "Place":
        cursor = cursor or {}
        return cls(**{**cursor, "left": tuple(cursor.get("left", ()))})

    def json(self) -> Json:
        return {**asdict(self), "left": list(self.left)}

    def pending(self, total: int) -> list[int]:
        return [*range(self.next, total), *self.left]

    def take(self, chunk: int, total: int) -> tuple[list[int], "Place"]:
        """The next places to look at, and the cursor once they are done.

        Those left are looked at together: among many that are offline, one may be back.
        """
        if self.next < total:
            end = min(self.next + chunk, total)
            return list(range(self.next, end)), replace(self, next=end)
        return list(self.left), replace(self, left=())


@dataclass(slots=True)
class Batch:
    """What this call may touch: `fresh` still to be done, `away` offline now, `refused` and why."""

    fresh: list[int] = field(default_factory=list)
    away: list[int] = field(default_factory=list)
    refused: dict[int, ConnectorError] = field(default_factory=dict)
    recorded: dict[int, Result] = field(default_factory=dict)


def unfinished(ledger: Ledger, targets: Iterable[Target], outcome: Outcome) -> Done:
    """The end for what was answered already, and for the rest that was never touched."""
    keys = [target.key for target in targets]
    answers = ledger.answers(keys)
    results = [answers.get(key) or Result(key, outcome, error=_UNTOUCHED[outcome]) for key in keys]
    return Done(results, ledger.artefacts())


class Run:
    def __init__(
        self, estate: Estate, options: Options, request: Request, journal: Journal, now: float
    ) -> None:
        self.estate = estate
        self.options = options
        self.request = request
        self.journal = journal
        self.now = now
        self.total = len(request.targets)
        self.verb = verb_of(request)

    def step(self, cursor: Json | None) -> Done | Continue:
        place = Place.read(cursor)
        with self.estate.reading() as scene:
            ended = self._ended(scene, place)
            if ended is not None:
                return ended
            faults = Faults(scene.sql)
            chosen, after = place.take(self.options.chunk, self.total)
            batch = self._sort(scene, faults, chosen)
            self._raise_if_hopeless(batch, after)
            place = self._caught_up(scene, place)
            stages, seconds = self._stages(faults, chosen)
        self._may_break(faults, batch)
        if place.stage < len(stages):
            return self._wait(place, stages, seconds)
        now, later = batch.fresh[: self.options.chunk], batch.fresh[self.options.chunk :]
        after = replace(after, stage=place.stage, left=(*after.left, *batch.away, *later))
        self._may_be_lost(faults, now)
        return self._carry_out(replace(batch, fresh=now), after, len(stages))

    # Ends that come from outside

    def _ended(self, scene: Scene, place: Place) -> Done | None:
        """Cancelled or past the deadline: what was not touched yet stays untouched."""
        ledger = Ledger(scene.sql, self.request)
        if ledger.cancelled():
            return unfinished(ledger, self._pending(place), Outcome.CANCELLED)
        if self.request.deadline and self.now > self.request.deadline:
            return unfinished(ledger, self._pending(place), Outcome.TIMED_OUT)
        return None

    def _pending(self, place: Place) -> list[Target]:
        return [self.request.targets[index] for index in place.pending(self.total)]

    # What strikes whom

    def _sort(self, scene: Scene, faults: Faults, chosen: Sequence[int]) -> Batch:
        batch = Batch()
        if self.options.delivery is Delivery.KEYED:
            recorded = Ledger(scene.sql, self.request).answers(self._keys(chosen))
            batch.recorded = {i: recorded[key] for i in chosen if (key := self._key(i)) in recorded}
        for index in chosen:
            if index in batch.recorded:
                continue
            refusal = self._refusal(scene, faults, index)
            if refusal is not None:
                batch.refused[index] = refusal
            elif self._away(scene, faults, index):
                batch.away.append(index)
            else:
                batch.fresh.append(index)
        return batch

    def _refusal(self, scene: Scene, faults: Faults, index: int) -> ConnectorError | None:
        owner = self._owner(index)
        code = faults.value(Behaviour.REFUSE, owner)
        if code is not None:
            return Permanent(
                str(code) if code is not True else "refused", "The simulator was told to refuse."
            )
        existing = faults.value(Behaviour.CONFLICT, owner)
        if existing is not None:
            return Conflict("Another job excludes this one.", str(existing) if existing is not True else "")
        reason = why_not(self.request.type, self._host(scene, index).get("os", ""))
        return Unsupported(reason) if reason else None

    def _away(self, scene: Scene, faults: Faults, index: int) -> bool:
        if self.request.type in THROUGH_PEERS:
            return False
        told = faults.value(Behaviour.OFFLINE, self._owner(index)) is not None
        return told or self._host(scene, index).get("online") is False

    def _raise_if_hopeless(self, batch: Batch, after: Place) -> None:
        """One answer for all where no target can be served, instead of a failure for each."""
        if batch.refused and len(batch.refused) == self.total:
            raise next(iter(batch.refused.values()))
        served = batch.fresh or batch.refused or batch.recorded
        if batch.away and not served and not after.pending(self.total):
            raise Transient("It is offline.", retry_after=30.0, offline=True)

    def _may_break(self, faults: Faults, batch: Batch) -> None:
        owners = self._owners(batch.fresh)
        if not faults.any(Behaviour.FLAKY, owners):
            return
        with self.estate.writing() as scene:
            tripped = Faults(scene.sql).trips(owners)
        if tripped:
            raise Transient("The connection broke before anything was sent.", retry_after=1.0)

    def _may_be_lost(self, faults: Faults, chosen: Sequence[int]) -> None:
        owners = self._owners(chosen)
        if not faults.any(Behaviour.TIMEOUT_BEFORE_EFFECT, owners):
            return
        self.journal.intent(self._keys(chosen))
        with self.estate.writing() as scene:
            lost = Faults(scene.sql).spend(Behaviour.TIMEOUT_BEFORE_EFFECT, owners)
        if lost:
            raise Unknown("No answer came.", {"request": self.request.id})

    # Long work

    def _stages(self, faults: Faults, chosen: Iterable[int]) -> tuple[Sequence[str], float]:
        named = self.verb.stages(self.request) if self.verb.stages else ()
        slow = faults.seconds(self._owners(chosen))
        stages = (*named, *(("Working slowly",) * SLOW_STAGES if slow else ()))
        return stages, slow + (self.options.pace if named else 0.0)

    def _caught_up(self, scene: Scene, place: Place) -> Place:
        """A keyed far side knows better than a stale cursor how far its job has come."""
        known = Ledger(scene.sql, self.request).progress()
        if self.options.delivery is Delivery.KEYED and known.get("stage", 0) > place.stage:
            return replace(place, stage=known["stage"], not_before=known["not_before"])
        return place

    def _wait(self, place: Place, stages: Sequence[str], seconds: float) -> Continue:
        if self.now < place.not_before:
            return self._continue(place, len(stages), place.not_before - self.now, stages[place.stage - 1])
        if place.stage == 0:
            self.journal.intent(self._keys(place.pending(self.total)))
        wait = seconds / len(stages)
        onward = replace(place, stage=place.stage + 1, not_before=self.now + wait)
        with self.estate.writing() as scene:
            Ledger(scene.sql, self.request).save({"stage": onward.stage, "not_before": onward.not_before})
        return self._continue(onward, len(stages), wait, stages[place.stage])

    def _continue(
        self, place: Place, stages: int, wait: float, message: str, results: Sequence[Result] = ()
    ) -> Continue:
        finished = self.total - len(place.pending(self.total))
        return Continue(place.json(), wait, place.stage + finished, stages + self.total, message, results)

    # The effect

    def _carry_out(self, batch: Batch, after: Place, stages: int) -> Done | Continue:
        if batch.fresh:
            self.journal.intent(self._keys(batch.fresh))
        try:
            with self.estate.writing() as scene:
                ledger = Ledger(scene.sql, self.request)
                ledger.open()
                results = self._results(scene, ledger, batch)
                lost = Faults(scene.sql).spend(Behaviour.TIMEOUT_AFTER_EFFECT, self._owners(batch.fresh))
        except sqlite3.Error:
            raise Unknown("The estate gave no answer.") from None
        if lost:
            raise Unknown("No answer came.", {"request": self.request.id})
        self.journal.result(results)
        if after.pending(self.total):
            done = self.total - len(after.pending(self.total))
            return self._continue(after, stages, 0.0, f"{done} of {self.total}", results)
        with self.estate.reading() as scene:
            return Done(results, Ledger(scene.sql, self.request).artefacts())

    def _results(self, scene: Scene, ledger: Ledger, batch: Batch) -> list[Result]:
        """In the order of the request. A keyed far side looks again: another runner may have come first."""
        keyed = self.options.delivery is Delivery.KEYED
        answered = ledger.answers(self._keys(batch.fresh)) if keyed else {}
        faults = Faults(scene.sql)
        found = dict(batch.recorded)
        for index in batch.fresh:
            found[index] = answered.get(self._key(index)) or self._one(scene, ledger, faults, index)
        for index, refusal in batch.refused.items():
            code = refusal.code if isinstance(refusal, Permanent) else type(refusal).__name__.lower()
            found[index] = Result(self._key(index), Outcome.FAILED, error=f"{code}: {refusal}")
        return [found[index] for index in sorted(found)]

    def _one(self, scene: Scene, ledger: Ledger, faults: Faults, index: int) -> Result:
        fraction = faults.value(Behaviour.PARTIAL, self._owner(index))
        if fraction is not None and struck(float(fraction), index):
            result = Result(self._key(index), Outcome.FAILED, error="simulated: told to fail for a part")
            ledger.answer(result)
            return result
        case = case_of(scene, self.request, self.request.targets[index], self.now)
        lies = faults.value(Behaviour.LIE, self._owner(index)) is not None
        return pretend(case, ledger) if lies else act(case, ledger)

    # Short forms

    def _key(self, index: int) -> str:
        return self.request.targets[index].key

    def _keys(self, indexes: Iterable[int]) -> list[str]:
        return [self._key(index) for index in indexes]

    def _owner(self, index: int) -> str:
        return owner_of(self.request, self.request.targets[index])

    def _owners(self, indexes: Iterable[int]) -> set[str]:
        return {self._owner(index) for index in indexes}

    def _host(self, scene: Scene, index: int) -> Json:
        host = host_of(self.request, self.request.targets[index])
        return (scene.get(host) if host is not None else None) or {}
