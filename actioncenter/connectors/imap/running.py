"""One call of `step`: what is left, what was begun before, one chunk over several mailboxes at once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from actioncenter.connectors.base import (
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
from actioncenter.connectors.imap import plans
from actioncenter.connectors.imap.attachments import AttachmentVerb
from actioncenter.connectors.imap.forwarding import ScriptVerb, ScriptWork
from actioncenter.connectors.imap.ledger import Ledger, Records
from actioncenter.connectors.imap.opened import Opened, address_of
from actioncenter.connectors.imap.session import Door
from actioncenter.connectors.imap.swapping import AttachmentWork
from actioncenter.connectors.imap.verbs import Verb
from actioncenter.connectors.imap.wire import Lost
from actioncenter.connectors.imap.working import Work

V = TypeVar("V")
W = TypeVar("W", bound=Opened)
AnyVerb = Verb | ScriptVerb | AttachmentVerb
_UNTOUCHED = {
    Outcome.CANCELLED: "cancelled before it was touched",
    Outcome.TIMED_OUT: "the deadline passed before it was touched",
}


@dataclass(frozen=True, slots=True)
class Place:
    """The cursor. `next` is the key to go on with: empty at the start, None when the list is through; `left` are
    keys whose mailbox was away; `since` is the first record of the ledger that it doesn't know of; `total` all.
    """

    next: str | None = ""
    left: tuple[str, ...] = ()
    since: int = 1
    total: int = 0

    @classmethod
    def read(cls, cursor: Json | None, request: Request) -> "Place":
        if cursor is None:
            return cls(total=len(request.targets))
        return cls(cursor["next"], tuple(cursor["left"]), cursor["since"], cursor["total"])

    def json(self) -> Json:
        return {"next": self.next, "left": list(self.left), "since": self.since, "total": self.total}


class Run:
    def __init__(
        self,
        door: Door,
        ledger: Ledger,
        verb: AnyVerb,
        request: Request,
        journal: Journal,
        *,
        now: float,
    ) -> None:
        self.door = door
        self.ledger = ledger
        self.verb = verb
        self.request = request
        self.journal = journal
        self.now = now

    def step(self, cursor: Json | None) -> Done | Continue:
        place = Place.read(cursor, self.request)
        keys = [target.key for target in self.request.targets]
        # Where the next target has gone from the request, its result was taken in but our cursor wasn't.
        known = not place.next or place.next in keys
        records = self._read(place.since if known else 1)
        rest, passed = _remaining(place, self.request.targets, records if not known else None)
        if ending := self._ending(records):
            return Done(self.ended([*rest, *passed], records, ending))
        if cursor is None and not records.known:
            self._require_the_plan()
        size = self.door.settings.chunk
        chunk, ahead = (rest[:size], rest[size:]) if rest else (passed[:size], [])
        left = passed if rest else passed[size:]
        results, away = self._work(chunk, records)
        if away and not (results or ahead or left):
            raise Transient("Its mailbox can't be opened now.", retry_after=30.0, offline=True)
        left = [*left, *away]
        if not ahead and not left:
            return Done(results)
        done = place.total - len(ahead) - len(left)
        following = ahead[0].key if ahead else None
        onward = replace(place, next=following, left=tuple(each.key for each in left))
        if not any(
            target.key in records.answers or target.key in records.intents for target in [*ahead, *left]
        ):
            onward = replace(onward, since=records.next)
        wait = 0.0 if results else 30.0
        return Continue(onward.json(), wait, done, place.total, f"{done} of {place.total}", results)

    def _read(self, since: int) -> Records:
        try:
            return self.ledger.read(since)
        except Lost as error:
            raise Transient(f"The mail server can't be spoken to. {error}") from error

    def _ending(self, records: Records) -> Outcome | None:
        if records.cancelled:
            return Outcome.CANCELLED
        if self.request.deadline and self.now > self.request.deadline:
            return Outcome.TIMED_OUT
        return None

    def _require_the_plan(self) -> None:
        """Before the first touch only: afterwards our own effect is what differs."""
        planned = self.request.plan_digest
        if planned and plans.digest(self.door, self.request) != planned:
            raise Permanent("plan_changed", "What is there now is no longer what the plan showed.")

    # One chunk

    def _work(self, chunk: Sequence[Target], records: Records) -> tuple[list[Result], list[Target]]:
        """Results in the order of the request, and targets whose mailbox is away."""
        answered = {
            target.key: records.answers[target.key] for target in chunk if target.key in records.answers
        }
        works = works_for(self.verb, [target for target in chunk if target.key not in answered], records)
        try:
            looked_at(works, self.door)
            self._touch(works)
        finally:
            for work in works:
                work.close()
        results = answered | _results(works)
        away = [target for work in works if work.away for target in work.targets]
        return [results[target.key] for target in chunk if target.key in results], away

    def _touch(self, works: Sequence[Opened]) -> None:
        fresh = {key: intent for work in works for key, intent in work.prepare().items()}
        touching = [work for work in works if work.touching]
        lost = ""
        if touching:
            self.journal.intent([key for work in touching for key in work.touching])
            self._intend(fresh)
            self.journal.touching()
            in_threads(self.door, lambda work: work.carry_out(), touching)
            lost = next((work.lost for work in touching if work.lost), "")
        results = list(_results(works).values())
        try:
            self.ledger.answer(results)
        except Lost as error:
            raise Unknown(f"What came of it could not be recorded. {error}") from error
        self.journal.result(results)
        if lost:
            raise Unknown(f"No answer came for a part of it. {lost}", {"request": self.request.id})

    def _intend(self, fresh: dict[str, Json]) -> None:
        try:
            if fresh:
                self.ledger.intend(fresh)
        except Lost as error:
            raise Transient(f"The mail server can't be spoken to. {error}") from error

    # The end before the end

    def ended(self, targets: Iterable[Target], records: Records, ending: Outcome) -> list[Result]:
        """Nothing new is begun. What was begun is looked up, and the rest was never touched."""
        targets = list(targets)
        found = judged(self.verb, self.door, targets, records, finally_=True)
        return unfinished(targets, found, ending)


def unfinished(targets: Iterable[Target], found: dict[str, Result], ending: Outcome) -> list[Result]:
    """What is known of each, and for the rest that it was never touched."""
    return [found.get(each.key) or Result(each.key, ending, error=_UNTOUCHED[ending]) for each in targets]


def works_for(verb: AnyVerb, targets: Iterable[Target], records: Records) -> Sequence[Opened]:
    if isinstance(verb, ScriptVerb):
        return each_mailbox(ScriptWork, verb, targets, records)
    if isinstance(verb, AttachmentVerb):
        return each_mailbox(AttachmentWork, verb, targets, records)
    return each_mailbox(Work, verb, targets, records)


def each_mailbox(
    make: Callable[[str, list[Target], Mapping[str, Json], V], W], verb: V, targets: Iterable[Target], records: Records
) -> list[W]:  # fmt: skip
    """One piece of work for all targets of a mailbox."""
    boxes: dict[str, list[Target]] = {}
    for target in targets:
        boxes.setdefault(address_of(target), []).append(target)
    return [make(address, here, records.doubtful, verb) for address, here in boxes.items()]


def looked_at(works: Sequence[Opened], door: Door) -> None:
    """Open each mailbox and look. Raises Transient and Permanent."""

    def look(work: Opened) -> None:
        work.open(door)
        if work.box is not None:
            work.look()

    try:
        in_threads(door, look, works)
    except Lost as error:
        raise Transient(f"The mail server can't be spoken to. {error}") from error


def in_threads(door: Door, call: Callable[[Opened], None], works: Sequence[Opened]) -> None:
    """Each mailbox by itself, so many at once. The first error is raised when all have ended."""
    with ThreadPoolExecutor(door.settings.connections) as pool:
        for future in [pool.submit(call, work) for work in works]:
            future.result()


def judged(
    verb: AnyVerb,
    door: Door,
    targets: Sequence[Target],
    records: Records,
    *,
    finally_: bool = False,
) -> dict[str, Result]:
    """What is known of these without touching anything. Left out is what isn't done; `finally_`, what wasn't begun."""
    found = {target.key: records.answers[target.key] for target in targets if target.key in records.answers}
    works = works_for(verb, [target for target in targets if target.key in records.doubtful], records)
    try:
        looked_at(works, door)
        for work in works:
            if work.away:
                raise Transient("A mailbox can't be opened now.", retry_after=30.0, offline=True)
            work.prepare()
            if finally_:
                work.give_up()
    finally:
        for work in works:
            work.close()
    return found | _results(works)


def _results(works: Iterable[Opened]) -> dict[str, Result]:
    found: dict[str, Result] = {}
    for work in works:
        missing = {
            target.key: Result(target.key, Outcome.FAILED, error=work.missing) for target in work.targets
        }
        found |= missing if work.missing else work.results
    return found


def _remaining(
    place: Place, targets: Sequence[Target], records: Records | None
) -> tuple[list[Target], list[Target]]:
    """The rest of the list, and those passed over before."""
    passed = [target for target in targets if target.key in place.left]
    if place.next is None:
        return [], passed
    if records is not None:
        return [each for each in targets if each.key not in {*records.answers, *place.left}], passed
    keys = [target.key for target in targets]
    rest = targets[keys.index(place.next) if place.next else 0 :]
    return [target for target in rest if target.key not in place.left], passed
