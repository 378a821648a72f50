"""What takes longer than a call, and what brings files: begun once, asked for again and again, fetched at the end.

None of it changes a host. So a transfer that broke off is simply made again, and only beginning is told to the journal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from actioncenter.connectors.base import (
    Artefact,
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
from actioncenter.connectors.ssh.acting import HOSTS, LATER, Caller, for_all, refused
from actioncenter.connectors.ssh.aeszip import PASSWORD, locked
from actioncenter.connectors.ssh.receiving import Received
from actioncenter.connectors.ssh.verbs import VERBS, by_host, item

ROOM: Final = 1024
"""Bytes that a zip adds to what it holds."""
FIRST_WAIT, LONGEST_WAIT, SLOWER = 0.5, 15.0, 1.5
LONGEST_JOB: Final = 12 * 3600


class Place(NamedTuple):
    """How far it has come: keys with a result, keys that were begun, how often it was asked, what was shown."""

    done: set[str]
    begun: set[str]
    asked: int
    shown: int

    @classmethod
    def read(cls, cursor: Json | None) -> "Place":
        told = cursor or {}
        return cls(
            set(told.get("done", ())), set(told.get("begun", ())), told.get("asked", 0), told.get("shown", 0)
        )


class Heard(NamedTuple):
    """From some hosts: results by key, how far the others are, who is away, whose answer was lost."""

    results: dict[str, Result]
    running: dict[str, int]
    away: Sequence[ConnectorError]
    lost: Unknown | None = None


class Locked(NamedTuple):
    """What was received, in a zip."""

    name: str
    inside: Received

    def blocks(self) -> Iterator[bytes]:
        return locked(self.name, self.inside.size, self.inside.content.blocks())


class Work:
    def __init__(self, caller: Caller, request: Request) -> None:
        self.caller = caller
        self.request = request
        self.verb = VERBS[request.type]

    def step(self, cursor: Json | None, journal: Journal) -> Done | Continue:
        place = Place.read(cursor)
        rest = [target for target in self.request.targets if target.key not in place.done]
        if self.request.deadline and self.caller.clock() > self.request.deadline:
            return Done(self._too_late(rest))
        fresh = [target for target in rest if target.key not in place.begun]
        begun = self._begun(fresh, journal, alone=len(fresh) == len(rest))
        polled = self._missed([target for target in rest if target.key in place.begun])
        results, files = begun.results | polled.results, list[Artefact]()
        if self.verb.brings:
            # Not where something was begun just now: what breaks then would look as if that was lost.
            results, files = self._with_file(results, fetch=not begun.results and not begun.running)
        away = [*begun.away, *polled.away]
        ordered = [results[target.key] for target in rest if target.key in results]
        if ordered:
            journal.result(ordered)
        if begun.lost is not None:
            raise begun.lost
        if away and not ordered and not begun.running and not polled.running and not begun.results:
            raise for_all(away)
        started = place.begun | {
            target.key for target in fresh if target.key in begun.results | begun.running
        }
        return self._answer(
            ordered,
            files,
            Place(place.done, started, place.asked, place.shown),
            begun.running | polled.running,
        )

    def _answer(
        self, ordered: list[Result], files: list[Artefact], place: Place, running: Mapping[str, int]
    ) -> Done | Continue:
        done = place.done | {result.key for result in ordered}
        total = 100 * len(self.request.targets)
        if len(done) == len(self.request.targets) or not self._left(done):
            return Done(ordered, files)
        shown = max(place.shown, min(total - 1, 100 * len(done) + sum(running.values())))
        asked = 0 if ordered else place.asked + 1
        cursor = {"done": sorted(done), "begun": sorted(place.begun), "asked": asked, "shown": shown}
        wait = 0.0 if not running else min(LONGEST_WAIT, FIRST_WAIT * SLOWER ** min(asked, 20))
        message = f"{len(done)} of {len(self.request.targets)} done"
        return Continue(cursor, wait, shown, total, message, ordered, files)

    def _left(self, done: set[str]) -> bool:
        return any(target.key not in done for target in self.request.targets)

    def _begun(self, fresh: Sequence[Target], journal: Journal, *, alone: bool) -> Heard:
        """Begin what hasn't begun; this alone is told to the journal before it happens.

        Raises where no host can be served and nothing is under way: a host with another key stops the action.
        """
        hosts = dict(list(by_host(fresh).items())[:HOSTS])
        if not hosts:
            return Heard({}, {}, [])
        with self.caller.lines(self.request.id) as lines:
            errors = lines.open(list(hosts))
            there = {remote: targets for remote, targets in hosts.items() if remote not in errors}
            results = refused(errors, hosts)
            away = [error for error in errors.values() if isinstance(error, Transient)]
            if not there and alone:
                raise for_all(errors.values())
            if not there:
                return Heard(results, {}, away)
            journal.intent([target.key for target in fresh if target.remote in there])
            journal.touching()
            said = lines.ask(self._calls("apply", there), self.request.max_seconds)
        heard = self._heard("apply", said, hosts)
        return Heard(results | heard.results, heard.running, away, heard.lost)

    def _polled(self, begun: Sequence[Target]) -> Heard:
        """A host that can't be asked now is asked later: what runs there goes on meanwhile."""
        hosts = dict(list(by_host(begun).items())[:HOSTS])
        if not hosts:
            return Heard({}, {}, [])
        with self.caller.lines(self.request.id) as lines:
            errors = lines.open(list(hosts))
            there = {remote: targets for remote, targets in hosts.items() if remote not in errors}
            said = lines.ask(self._calls("poll", there), self.request.max_seconds)
        heard = self._heard("poll", said, hosts)
        away: list[ConnectorError] = list(errors.values())
        if heard.lost is not None:
            away.append(Transient(str(heard.lost), LATER, offline=True))
        return Heard(heard.results, heard.running, away)

    def _missed(self, begun: Sequence[Target]) -> Heard:
        """As `_polled`; what a host that answers knows nothing of any more has failed, and isn't begun again."""
        heard = self._polled(begun)
        if heard.away:
            return heard
        asked = dict(list(by_host(begun).items())[:HOSTS])
        lost = Permanent("lost", "The host no longer knows of it.")
        gone = {
            target.key: answers.failed(target, lost)
            for targets in asked.values()
            for target in targets
            if target.key not in {*heard.results, *heard.running}
        }
        return heard._replace(results=heard.results | gone)

    def _calls(self, call: str, there: Mapping[str, Sequence[Target]]) -> dict[str, Json]:
        deadline = self.request.deadline
        seconds = deadline - self.caller.clock() if deadline else LONGEST_JOB
        limits = {
            "most": self.request.max_bytes - (ROOM if self.verb.brings else 0),
            "limit": int(min(max(1.0, seconds), LONGEST_JOB)),
        }
        return {
            remote: {
                **self.caller.body(call, self.request.id, [item(self.request, each) for each in targets]),
                **limits,
            }
            for remote, targets in there.items()
        }

    def _heard(
        self, call: str, said: Mapping[str, Json | ConnectorError], hosts: Mapping[str, Sequence[Target]]
    ) -> Heard:
        results: dict[str, Result] = {}
        running: dict[str, int] = {}
        lost: Unknown | None = None
        for remote, answer in said.items():
            if isinstance(answer, Unknown):
                lost = answer
            elif isinstance(answer, ConnectorError):
                results |= {target.key: answers.failed(target, answer) for target in hosts[remote]}
            else:
                ended, going = (
                    answers.results(answer[call], hosts[remote]),
                    answers.progress(answer[call], hosts[remote]),
                )
                results, running = results | ended, running | going
                if call == "apply" and any(each.key not in {*ended, *going} for each in hosts[remote]):
                    lost = Unknown("It didn't say what became of everything.")
        return Heard(results, running, [], lost)

    # Files

    def _with_file(
        self, results: dict[str, Result], *, fetch: bool
    ) -> tuple[dict[str, Result], list[Artefact]]:
        """One file in each step; what else is ready waits on its host. Raises Transient where it broke off."""
        ready = [key for key, result in results.items() if result.outcome is Outcome.SUCCEEDED]
        kept = {key: result for key, result in results.items() if key not in ready}
        if not ready or not fetch:
            return kept, []
        target = next(each for each in self.request.targets if each.key == ready[0])
        got = self._fetched(target)
        if isinstance(got, Permanent):
            return {**kept, target.key: answers.failed(target, got)}, []
        if isinstance(got, ConnectorError):
            raise got
        found = results[target.key]
        if wrong := _not_as_said(found, got, target):
            return {**kept, target.key: answers.failed(target, wrong)}, []
        return {**kept, target.key: found}, [self._artefact(got)]

    def _fetched(self, target: Target) -> Received | ConnectorError:
        with self.caller.lines(self.request.id) as lines:
            if errors := lines.open([target.remote]):
                return errors[target.remote]
            call = self._calls("fetch", {target.remote: [target]})[target.remote]
            return lines.fetch(target.remote, call, self.request.max_seconds, call["most"])

    def _artefact(self, got: Received) -> Artefact:
        name = f"{self.verb.brings}-{got.sha256[:12]}"
        if self.verb.brings == "sample":
            return Artefact(f"{name}.zip", "application/zip", Locked(f"{got.sha256}.bin", got), PASSWORD)
        return Artefact(f"{name}.tar.gz", "application/gzip", got.content)

    # Ends from outside

    def cancel(self, cursor: Json | None) -> bool:
        """Whether anything was ended by it. Raises where a host can't be told."""
        done = Place.read(cursor).done
        return bool(self._ended([target for target in self.request.targets if target.key not in done]))

    def _ended(self, rest: Sequence[Target]) -> set[str]:
        hosts = by_host(rest)
        if not hosts:
            return set()
        with self.caller.lines(self.request.id) as lines:
            if errors := lines.open(list(hosts)):
                raise for_all(errors.values())
            said = lines.ask(self._calls("cancel", hosts), self.request.max_seconds)
        if wrong := [answer for answer in said.values() if isinstance(answer, ConnectorError)]:
            raise Transient(str(wrong[0]), LATER, offline=True)
        told = [answer["cancel"] for answer in said.values() if isinstance(answer, dict)]
        ours = {target.key for target in rest}
        return {key for keys in told if isinstance(keys, list) for key in keys if key in ours}

    def _too_late(self, rest: Sequence[Target]) -> list[Result]:
        """What still runs is ended. A file that wasn't fetched by now isn't."""
        self._ended(rest)
        known = {} if self.verb.brings else self._polled(rest).results
        late = "the deadline passed before it was done"
        ended = (known.get(target.key) for target in rest)
        return [
            result
            if result and result.outcome is Outcome.SUCCEEDED
            else Result(target.key, Outcome.TIMED_OUT, error=late)
            for target, result in zip(rest, ended, strict=True)
        ]

    def lookup(self) -> Done | Continue | None:
        heard = self._polled(self.request.targets)
        if heard.away:
            raise for_all(heard.away)
        known = heard.results | dict.fromkeys(heard.running)
        if not known:
            return None
        results, files = heard.results, list[Artefact]()
        if self.verb.brings:
            results, files = self._with_file(results, fetch=True)
        ordered = [results[target.key] for target in self.request.targets if target.key in results]
        return self._answer(ordered, files, Place(set(), set(known), 0, 0), heard.running)


def _not_as_said(found: Result, got: Received, target: Target) -> Permanent | None:
    """A host is held to what it said before it sent, and to what was judged."""
    if (found.after.get("sha256"), found.after.get("size")) != (got.sha256, got.size):
        return Permanent("hash_mismatch", "What it sent isn't what it had looked at.")
    judged = str(target.facts.get("sha256") or "").lower()
    if judged and "path" in target.facts and judged != got.sha256:
        return Permanent("hash_mismatch", "What it sent isn't the file that was judged.")
    return None
