"""One call of `step`: open every line, say what will be touched, touch it, prove that we still get through."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from actioncenter.connectors.base import (
    ConnectorError,
    Continue,
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
)
from actioncenter.connectors.ssh import answers
from actioncenter.connectors.ssh.lines import Lines
from actioncenter.connectors.ssh.schema import Options
from actioncenter.connectors.ssh.verbs import VERBS, by_host, item

HOSTS: Final = 50
"""Hosts of one step."""
LATER: Final = 30.0
ROLLED_BACK: Final = (
    "rolled_back: After isolating it we didn't get through to it any more, so it took that back by itself."
)

STILL_IN: Final = "still_let_in: It said that it removed what lets us in, and lets us in."


class Caller(Protocol):
    """What a run needs of its connector."""

    options: Options
    clock: Any

    def lines(self, request: str) -> Lines: ...

    def body(self, call: str, request: str, items: Sequence[Json] = ()) -> Json: ...


class Place(NamedTuple):
    """How far it has come: keys with a result, and hosts that were away."""

    done: set[str]
    away: set[str]


class Run:
    def __init__(self, caller: Caller, request: Request) -> None:
        self.caller = caller
        self.request = request

    def step(self, cursor: Json | None, journal: Journal) -> Done | Continue:
        done = set((cursor or {}).get("done", ()))
        rest = [target for target in self.request.targets if target.key not in done]
        if self.request.deadline and self.caller.clock() > self.request.deadline:
            return Done(self._too_late(rest))
        hosts, away = by_host(rest), set((cursor or {}).get("away", ()))
        # Who was away comes last, so that many of them don't keep the others from their turn.
        now = {remote: hosts[remote] for remote in sorted(hosts, key=lambda remote: remote in away)[:HOSTS]}
        results, lost, waiting = self._carry_out(now, journal)
        ordered = self._ordered(results)
        if ordered:
            journal.result(ordered)
        if lost is not None:
            raise lost
        away |= {remote for remote, there in now.items() if any(each.key not in results for each in there)}
        return self._answer(ordered, rest, Place(done, away), waiting)

    def _answer(
        self, results: list[Result], rest: Sequence[Target], place: Place, waiting: bool
    ) -> Done | Continue:
        done = place.done | {result.key for result in results}
        left = [target for target in rest if target.key not in done]
        if not left:
            return Done(results)
        wait = self.caller.options.rollback_after + 1 if waiting else LATER if not results else 0.0
        total = len(self.request.targets)
        cursor = {"done": sorted(done), "away": sorted(place.away)}
        return Continue(cursor, wait, total - len(left), total, f"{total - len(left)} of {total}", results)

    def _carry_out(
        self, hosts: Mapping[str, Sequence[Target]], journal: Journal
    ) -> tuple[dict[str, Result], Unknown | None, bool]:
        """Results, an answer that was lost, and whether an isolation is still to be confirmed."""
        with self.caller.lines(self.request.id) as lines:
            errors = lines.open(list(hosts))
            there = {remote: targets for remote, targets in hosts.items() if remote not in errors}
            if not there:
                raise for_all(errors.values())
            results = refused(errors, hosts)
            said = self._touch(lines, there, journal)
        lost: Unknown | None = None
        for remote, answer in said.items():
            if isinstance(answer, Unknown):
                lost = answer
            elif isinstance(answer, ConnectorError):
                results |= {target.key: answers.failed(target, answer) for target in hosts[remote]}
            else:
                results |= answers.results(answer["apply"], hosts[remote])
                if any(target.key not in results for target in hosts[remote]):
                    lost = Unknown("It didn't say what became of everything.")
        if VERBS[self.request.type].farewell:
            results, unproved = self._parted(results, hosts)
            return results, lost or unproved, False
        if VERBS[self.request.type].confirmed:
            kept = self._confirmed(results, hosts)
            return kept, lost, len(kept) < len(results)
        return results, lost, False

    def _touch(
        self, lines: Lines, there: Mapping[str, Sequence[Target]], journal: Journal
    ) -> dict[str, Json | ConnectorError]:
        calls = {
            remote: self.caller.body("apply", self.request.id, [item(self.request, each) for each in targets])
            for remote, targets in there.items()
        }
        journal.intent([target.key for target in self.request.targets if target.remote in there])
        journal.touching()
        return lines.ask(calls, self.request.max_seconds)

    def _confirmed(
        self, results: dict[str, Result], hosts: Mapping[str, Sequence[Target]]
    ) -> dict[str, Result]:
        """Over new connections, because only that proves that we get through. What we couldn't ask is left out."""
        succeeded = {key for key, result in results.items() if result.outcome is Outcome.SUCCEEDED}
        held = {
            remote: keys
            for remote, targets in hosts.items()
            if (keys := [target.key for target in targets if target.key in succeeded])
        }
        if not held:
            return results
        with self.caller.lines(self.request.id) as lines:
            told: dict[str, Json | ConnectorError] = dict(lines.open(list(held)))
            calls = {
                remote: self.caller.body("confirm", self.request.id) for remote in held if remote not in told
            }
            told |= lines.ask(calls, self.request.max_seconds)
        kept = dict(results)
        for remote, said in told.items():
            for key in held[remote]:
                if isinstance(said, ConnectorError):
                    del kept[key]
                elif not _is_confirmed(said):
                    kept[key] = Result(key, Outcome.FAILED, error=ROLLED_BACK)
        return kept

    def _parted(
        self, results: dict[str, Result], hosts: Mapping[str, Sequence[Target]]
    ) -> tuple[dict[str, Result], Unknown | None]:
        """Whoever said good-bye doesn't let us in any more; where nobody opens at all, that isn't known."""
        kept, unproved = dict(results), None
        gone = {
            remote: keys
            for remote, targets in hosts.items()
            if (keys := [each.key for each in targets if _succeeded(results.get(each.key))])
        }
        if not gone:
            return kept, None
        with self.caller.lines(self.request.id) as lines:
            errors = lines.open(list(gone))
        for remote, keys in gone.items():
            for key in keys:
                if remote not in errors:
                    kept[key] = Result(key, Outcome.FAILED, error=STILL_IN)
                elif not not_let_in(errors[remote]):
                    del kept[key]
                    unproved = Unknown("Whether it still lets us in can't be seen.")
        return kept, unproved

    def _farewells(
        self, hosts: Mapping[str, Sequence[Target]], errors: Mapping[str, ConnectorError]
    ) -> dict[str, Result]:
        """It let us in before we asked it to end that, and it does no longer."""
        if not VERBS[self.request.type].farewell:
            return {}
        parted = [remote for remote, error in errors.items() if not_let_in(error)]
        return {
            each.key: Result(each.key, Outcome.SUCCEEDED, after={"enrolled": False})
            for remote in parted
            for each in hosts[remote]
        }

    def lookup(self) -> Done | Continue | None:
        found = self._looked_up(self.request.targets)
        if not found:
            return None
        ordered = self._ordered(found)
        if len(ordered) == len(self.request.targets):
            return Done(ordered)
        total = len(self.request.targets)
        return Continue({"done": sorted(found)}, 0.0, len(ordered), total, "", ordered)

    def _looked_up(self, targets: Sequence[Target]) -> dict[str, Result]:
        """What the hosts' own journals say. Raises where one can't be asked: then nothing is known."""
        hosts = by_host(targets)
        with self.caller.lines(self.request.id) as lines:
            errors = lines.open(list(hosts))
            found = self._farewells(hosts, errors)
            hosts = {remote: there for remote, there in hosts.items() if there[0].key not in found}
            if left := [error for remote, error in errors.items() if remote in hosts]:
                raise left[0]
            calls = {
                remote: self.caller.body(
                    "lookup", self.request.id, [item(self.request, each) for each in there]
                )
                for remote, there in hosts.items()
            }
            said = lines.ask(calls, self.request.max_seconds)
        for remote, answer in said.items():
            if isinstance(answer, ConnectorError):
                raise Transient(str(answer), LATER, offline=True)
            found |= answers.results(answer["lookup"], hosts[remote])
        return self._confirmed(found, hosts) if VERBS[self.request.type].confirmed else found

    def _too_late(self, rest: Sequence[Target]) -> list[Result]:
        """What had been done before is told; of what wasn't, nothing is begun any more."""
        found = self._looked_up(rest)
        late = "the deadline passed before it was touched"
        return [found.get(each.key) or Result(each.key, Outcome.TIMED_OUT, error=late) for each in rest]

    def _ordered(self, results: Mapping[str, Result]) -> list[Result]:
        return [results[target.key] for target in self.request.targets if target.key in results]


def _succeeded(result: Result | None) -> bool:
    return result is not None and result.outcome is Outcome.SUCCEEDED


def not_let_in(error: object) -> bool:
    return isinstance(error, Permanent) and error.code == "not_let_in"


def _is_confirmed(said: Json) -> bool:
    told = said.get("confirm")
    return isinstance(told, dict) and told.get("confirmed") is True


def for_all(errors: Iterable[ConnectorError]) -> ConnectorError:
    """One error where no host can be served; who is only away may come back."""
    told = list(errors)
    away = (error for error in told if isinstance(error, Transient))
    return next(away, None) or told[0]


def refused(errors: Mapping[str, ConnectorError], hosts: Mapping[str, Sequence[Target]]) -> dict[str, Result]:
    """Those that can't be served ever; the others are tried later."""
    return {
        target.key: answers.failed(target, error)
        for remote, error in errors.items()
        if not isinstance(error, Transient)
        for target in hosts[remote]
    }
