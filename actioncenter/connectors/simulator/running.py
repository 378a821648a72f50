"""One call of `step`: what is left, which faults strike, what is done now."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
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
from actioncenter.connectors.simulator import plans
from actioncenter.connectors.simulator.acting import act, pretend
from actioncenter.connectors.simulator.capabilities import THROUGH_PEERS, why_not
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.faults import Behaviour, Faults, struck
from actioncenter.connectors.simulator.ledger import Ledger
from actioncenter.connectors.simulator.places import Chosen, Place, choose, remaining
from actioncenter.connectors.simulator.scene import Scene
from actioncenter.connectors.simulator.table import case_of, host_state, owner_of, verb_of

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
class Batch:
    """What this call may touch: `fresh` still to be done, `away` offline now, `refused` and why."""

    fresh: list[Target] = field(default_factory=list)
    away: list[Target] = field(default_factory=list)
    refused: list[tuple[Target, ConnectorError]] = field(default_factory=list)
    recorded: dict[str, Result] = field(default_factory=dict)


def keys(targets: Iterable[Target]) -> list[str]:
    return [target.key for target in targets]


def unfinished(ledger: Ledger, targets: Sequence[Target], outcome: Outcome) -> Done:
    """The end for what was answered already, and for the rest that was never touched."""
    answers = ledger.answers(keys(targets))
    error = _UNTOUCHED[outcome]
    results = [answers.get(key) or Result(key, outcome, error=error) for key in keys(targets)]
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
        self.verb = verb_of(request)
        self.keyed = options.delivery is Delivery.KEYED

    def step(self, cursor: Json | None) -> Done | Continue:
        place = Place.read(cursor, self.request)
        with self.estate.reading() as scene:
            ledger, faults = Ledger(scene.sql, self.request), Faults(scene.sql)
            rest, passed = remaining(
                place, self.request, self.options.delivery, lambda: ledger.answers(keys(self.request.targets))
            )
            ended = self._ended(ledger, [*rest, *passed])
            if ended is not None:
                return ended
            chosen = choose(rest, passed, self.options.chunk)
            answers = ledger.answers(keys(chosen.now)) if self.keyed else {}
            batch = self._sort(scene, faults, chosen, answers)
            self._raise_if_hopeless(batch, chosen)
            self._raise_if_not_as_planned(scene, ledger, cursor)
            place = self._caught_up(ledger, place)
            stages, seconds = self._stages(faults, chosen.now)
        self._may_break(faults, batch)
        if place.stage < len(stages):
            return self._wait(place, stages, seconds, [*rest, *passed])
        return self._go_on(faults, place, chosen, batch, len(stages))

    def _ended(self, ledger: Ledger, pending: Sequence[Target]) -> Done | None:
        """Cancelled or past the deadline: what was not touched yet stays untouched."""
        if ledger.cancelled():
            return unfinished(ledger, pending, Outcome.CANCELLED)
        if self.request.deadline and self.now > self.request.deadline:
            return unfinished(ledger, pending, Outcome.TIMED_OUT)
        return None

    # What strikes whom

    def _sort(self, scene: Scene, faults: Faults, chosen: Chosen, answers: dict[str, Result]) -> Batch:
        batch = Batch()
        for target in chosen.now:
            refusal = self._refusal(scene, faults, target)
            if target.key in answers:
                batch.recorded[target.key] = answers[target.key]
            elif refusal is not None:
                batch.refused.append((target, refusal))
            elif self._away(scene, faults, target):
                batch.away.append(target)
            else:
                batch.fresh.append(target)
        return batch

    def _refusal(self, scene: Scene, faults: Faults, target: Target) -> ConnectorError | None:
        owner = owner_of(self.request, target)
        code = faults.value(Behaviour.REFUSE, owner)
        if code is not None:
            return Permanent(
                str(code) if code is not True else "refused", "The simulator was told to refuse."
            )
        existing = faults.value(Behaviour.CONFLICT, owner)
        if existing is not None:
            return Conflict("Another job excludes this one.", str(existing) if existing is not True else "")
        reason = why_not(self.request.type, host_state(scene, self.request, target).get("os", ""))
        return Unsupported(reason) if reason else None

    def _away(self, scene: Scene, faults: Faults, target: Target) -> bool:
        if self.request.type in THROUGH_PEERS:
            return False
        told = faults.value(Behaviour.OFFLINE, owner_of(self.request, target)) is not None
        return told or host_state(scene, self.request, target).get("online") is False

    def _raise_if_hopeless(self, batch: Batch, chosen: Chosen) -> None:
        """One answer for all where no target can be served, instead of a failure for each."""
        if batch.refused and len(batch.refused) == len(self.request.targets):
            raise batch.refused[0][1]
        served = batch.fresh or batch.refused or batch.recorded
        if batch.away and not (served or chosen.ahead or chosen.passed):
            raise Transient("It is offline.", retry_after=30.0, offline=True)

    def _raise_if_not_as_planned(self, scene: Scene, ledger: Ledger, cursor: Json | None) -> None:
        """Before the first touch only: afterwards our own effect is what differs."""
        planned = self.request.plan_digest
        if not planned or cursor is not None or ledger.known():
            return
        if plans.digest(scene, self.request, self.now) != planned:
            raise Permanent("plan_changed", "What is there now is no longer what the plan showed.")

    def _may_break(self, faults: Faults, batch: Batch) -> None:
        owners = self._owners(batch.fresh)
        if not faults.any(Behaviour.FLAKY, owners):
            return
        with self.estate.writing() as scene:
            tripped = Faults(scene.sql).trips(owners)
        if tripped:
            raise Transient("The connection broke before anything was sent.", retry_after=1.0)

    def _may_be_lost(self, faults: Faults, fresh: Sequence[Target]) -> None:
        owners = self._owners(fresh)
        if not faults.any(Behaviour.TIMEOUT_BEFORE_EFFECT, owners):
            return
        self.journal.intent(keys(fresh))
        with self.estate.writing() as scene:
            lost = Faults(scene.sql).spend(Behaviour.TIMEOUT_BEFORE_EFFECT, owners)
        if lost:
            raise Unknown("No answer came.", {"request": self.request.id})

    # Long work

    def _stages(self, faults: Faults, chosen: Iterable[Target]) -> tuple[Sequence[str], float]:
        named = self.verb.stages(self.request) if self.verb.stages else ()
        slow = faults.seconds(self._owners(chosen))
        stages = (*named, *(("Working slowly",) * SLOW_STAGES if slow else ()))
        return stages, slow + (self.options.pace if named else 0.0)

    def _caught_up(self, ledger: Ledger, place: Place) -> Place:
        """A keyed far side knows better than a stale cursor how far its job has come."""
        known = ledger.progress()
        if self.keyed and known.get("stage", 0) > place.stage:
            return replace(place, stage=known["stage"], not_before=known["not_before"])
        return place

    def _wait(
        self, place: Place, stages: Sequence[str], seconds: float, pending: Sequence[Target]
    ) -> Continue:
        if self.now < place.not_before:
            wait, message = place.not_before - self.now, stages[place.stage - 1]
            return self._continue(place, len(stages), len(pending), wait, message)
        if place.stage == 0:
            self.journal.intent(keys(pending))
        wait = seconds / len(stages)
        onward = replace(place, stage=place.stage + 1, not_before=self.now + wait)
        with self.estate.writing() as scene:
            if place.stage == 0:
                self.journal.touching()
            Ledger(scene.sql, self.request).save({"stage": onward.stage, "not_before": onward.not_before})
        return self._continue(onward, len(stages), len(pending), wait, stages[place.stage])

    def _continue(
        self,
        place: Place,
        stages: int,
        pending: int,
        wait: float,
        message: str,
        results: Sequence[Result] = (),
    ) -> Continue:
        done = place.total - pending
        return Continue(place.json(), wait, place.stage + done, stages + place.total, message, results)

    # The effect

    def _go_on(
        self, faults: Faults, place: Place, chosen: Chosen, batch: Batch, stages: int
    ) -> Done | Continue:
        fresh, later = batch.fresh[: self.options.chunk], batch.fresh[self.options.chunk :]
        self._may_be_lost(faults, fresh)
        results = self._carry_out(replace(batch, fresh=fresh), place, chosen)
        left = keys([*chosen.passed, *batch.away, *later])
        pending = len(chosen.ahead) + len(left)
        if not pending:
            with self.estate.reading() as scene:
                return Done(results, Ledger(scene.sql, self.request).artefacts())
        following = chosen.ahead[0].key if chosen.ahead else None
        after = replace(place, next=following, left=tuple(left), seen=place.seen + len(chosen.now))
        message = f"{place.total - pending} of {place.total}"
        return self._continue(after, stages, pending, 0.0, message, results)

    def _carry_out(self, batch: Batch, place: Place, chosen: Chosen) -> list[Result]:
        if batch.fresh:
            self.journal.intent(keys(batch.fresh))
        try:
            with self.estate.writing() as scene:
                if batch.fresh:
                    self.journal.touching()
                ledger = Ledger(scene.sql, self.request)
                ledger.open()
                results = self._results(scene, ledger, batch, place, chosen)
                lost = Faults(scene.sql).spend(Behaviour.TIMEOUT_AFTER_EFFECT, self._owners(batch.fresh))
        except sqlite3.Error:
            raise Unknown("The estate gave no answer.") from None
        if lost:
            raise Unknown("No answer came.", {"request": self.request.id})
        self.journal.result(results)
        return results

    def _results(
        self, scene: Scene, ledger: Ledger, batch: Batch, place: Place, chosen: Chosen
    ) -> list[Result]:
        """In the order of the request. A keyed far side looks again: another runner may have come first."""
        answered = ledger.answers(keys(batch.fresh)) if self.keyed else {}
        faults = Faults(scene.sql)
        ordinals = {target.key: place.seen + index for index, target in enumerate(chosen.now)}
        found = dict(batch.recorded)
        for target in batch.fresh:
            found[target.key] = answered.get(target.key) or self._one(
                scene, ledger, faults, target, ordinals[target.key]
            )
        for target, refusal in batch.refused:
            code = refusal.code if isinstance(refusal, Permanent) else type(refusal).__name__.lower()
            found[target.key] = Result(target.key, Outcome.FAILED, error=f"{code}: {refusal}")
        return [found[key] for key in ordinals if key in found]

    def _one(self, scene: Scene, ledger: Ledger, faults: Faults, target: Target, ordinal: int) -> Result:
        owner = owner_of(self.request, target)
        fraction = faults.value(Behaviour.PARTIAL, owner)
        if fraction is not None and struck(float(fraction), ordinal):
            result = Result(target.key, Outcome.FAILED, error="simulated: told to fail for a part")
            ledger.answer(result)
            return result
        case = case_of(scene, self.request, target, self.now)
        return pretend(case, ledger) if faults.value(Behaviour.LIE, owner) is not None else act(case, ledger)

    def _owners(self, targets: Iterable[Target]) -> set[str]:
        return {owner_of(self.request, target) for target in targets}
