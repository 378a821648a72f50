"""Blocking and unblocking URLs on the product's own list.

Each target places a block of its own, named by the target. So a repeated request finds its block, another
action that blocks the same URL adds a second reason, and an undo takes back one reason and no other.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import (
    Capability,
    ConnectorError,
    Delivery,
    Done,
    Health,
    Journal,
    Json,
    Observed,
    Outcome,
    Page,
    Permanent,
    Plan,
    Request,
    Result,
    Support,
    Target,
    Unsupported,
)
from actioncenter.connectors.feeds.book import Book, Held, Reading

KIND: Final = "feeds"
T = ActionType
VERBS: Final = frozenset({T.BLOCK_URL, T.UNBLOCK_URL})
WHY_NOT: Final = "The block list holds URLs and nothing else."
COVERS: Final[Mapping[str, str]] = {
    "url": "this address alone",
    "prefix": "everything below this folder",
    "host": "the whole host and every host below it",
    "address": "the whole host",
}
ONLY_WITH_PATHS: Final = "Resolvers can't block it: DNS never hears what follows the host name."
ONLY_WITH_NAMES: Final = "Resolvers can't block it: DNS never hears of an address without a name."


class BlockList:
    """`clock` gives seconds since the epoch."""

    kind = KIND

    def __init__(self, book: Book, clock: Callable[[], float] = time.time) -> None:
        self.book = book
        self.clock = clock

    def check(self) -> Health:
        try:
            version = self.book.version()
        except ConnectorError as error:
            return Health(False, str(error))
        return Health(True, f"The list is at version {version:,}.", {"version": version})

    def capabilities(self, kind: TargetKind, remote: str) -> Mapping[ActionType, Capability]:
        declined = Capability(Support.UNSUPPORTED, WHY_NOT, delivery=Delivery.KEYED)
        offered = {
            each: Capability(
                Support.SUPPORTED, undoable=CATALOGUE[each].inverse is not None, delivery=Delivery.KEYED
            )
            for each in VERBS
            if kind is TargetKind.URL
        }
        return {each: offered.get(each, declined) for each in ActionType}

    def preview(self, request: Request) -> Plan:
        _supported(request)
        read = [self.book.read(_url(target)) for target in request.targets]
        for reading in read:
            if reading.refusal:
                raise Permanent("refused", reading.refusal)
        verb = "Blocks" if request.type is T.BLOCK_URL else "Unblocks"
        return Plan(
            observed={
                each.expression: {"blocked": self.book.others(each.expression, "") > 0} for each in read
            },
            changes=[f"{verb} {each.expression}: {COVERS[each.kind]}." for each in read],
            warnings=list(dict.fromkeys(filter(None, map(_warning, read)))),
            digest=_digest(request, read),
        )

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done:
        _supported(request)
        found = self.book.find(_keys(request))
        if request.deadline and self.clock() > request.deadline:
            return Done([self._too_late(request, target, found) for target in request.targets])
        self._as_planned(request, found)
        keys = [target.key for target in request.targets]
        if not all(self._answered(request, target, found) for target in request.targets):
            journal.intent(keys)
            journal.touching()
        results = [self._one(request, target) for target in request.targets]
        journal.result(results)
        return Done(results)

    def cancel(self, request: Request, cursor: Json | None) -> bool:
        """It is over before anybody could."""
        _supported(request)
        return False

    def verify(self, request: Request) -> Observed:
        """As whoever pulls the list now is told. What ended by its own time is no longer ours to tell."""
        _supported(request)
        found = self.book.find(_keys(request))
        in_force: dict[str, bool | None] = {}
        detail: dict[str, Json] = {}
        for target in request.targets:
            held = found.get(_key(request, target))
            listed = held is not None and held.listed
            ran_out = held is not None and not listed and not held.released_by
            if request.type is T.UNBLOCK_URL:
                in_force[target.key] = not listed
            else:
                in_force[target.key] = None if ran_out else listed
            detail[target.key] = {"blocked": listed, "until": held.until if held and listed else ""}
        return Observed(in_force, detail)

    def lookup(self, request: Request) -> Done | None:
        _supported(request)
        found = self.book.find(_keys(request))
        if not all(self._answered(request, target, found) for target in request.targets):
            return None
        return Done([self._one(request, target) for target in request.targets])

    def search(self, criteria: Mapping[str, Any], cursor: Json | None) -> Page:
        raise Unsupported("The block list is no place to search for anything.")

    # One target

    def _one(self, request: Request, target: Target) -> Result:
        if request.type is T.UNBLOCK_URL:
            return self._release(request, target)
        try:
            reading = self.book.read(_url(target))
        except Permanent as error:
            return Result(target.key, Outcome.FAILED, error=str(error))
        if reading.refusal:
            return Result(target.key, Outcome.FAILED, error=f"refused: {reading.refusal}")
        days = request.parameters.get("days", 0)
        held = self.book.place(target.key, _url(target), days, request.id)
        if held.released:
            return Result(target.key, Outcome.FAILED, error="conflict: this block was taken back before")
        mine = held.placed_by == request.id
        before = {"block": held.key, "expression": held.expression, "until": held.until}
        after = {"blocked": True, "expression": held.expression, "until": held.until}
        return Result(target.key, Outcome.SUCCEEDED if mine else Outcome.ALREADY, before, after)

    def _release(self, request: Request, target: Target) -> Result:
        key = _key(request, target)
        held = self.book.find([key]).get(key) if key else None
        if held is None:
            return Result(
                target.key, Outcome.FAILED, error="nothing_recorded: no record of what to take back"
            )
        told = {"expression": held.expression, "until": held.until}
        if any(target.before.get(name) != value for name, value in told.items()):
            return Result(
                target.key, Outcome.FAILED, error="conflict: the block was changed since and is left as it is"
            )
        now = self.book.release(key, request.id)
        others = self.book.others(now.expression, key)
        mine = now.released_by == request.id
        after = {"blocked": others > 0, "expression": now.expression, "others": others}
        return Result(target.key, Outcome.SUCCEEDED if mine else Outcome.ALREADY, after=after)

    def _answered(self, request: Request, target: Target, found: Mapping[str, Held]) -> bool:
        held = found.get(_key(request, target))
        if held is None:
            return False
        return request.id == (held.released_by if request.type is T.UNBLOCK_URL else held.placed_by)

    def _too_late(self, request: Request, target: Target, found: Mapping[str, Held]) -> Result:
        if self._answered(request, target, found):
            return self._one(request, target)
        return Result(target.key, Outcome.TIMED_OUT, error="the deadline passed before it was touched")

    def _as_planned(self, request: Request, found: Mapping[str, Held]) -> None:
        """Before the first touch only."""
        begun = any(self._answered(request, target, found) for target in request.targets)
        if not request.plan_digest or begun:
            return
        if (
            _digest(request, [self.book.read(_url(target)) for target in request.targets])
            != request.plan_digest
        ):
            raise Permanent("plan_changed", "What would be blocked is no longer what the plan showed.")


def _supported(request: Request) -> None:
    if request.type not in VERBS:
        raise Unsupported(WHY_NOT)


def _url(target: Target) -> str:
    return str(target.facts.get("url") or target.facts.get("value") or "")


def _key(request: Request, target: Target) -> str:
    return str(target.before.get("block", "")) if request.type is T.UNBLOCK_URL else target.key


def _keys(request: Request) -> Sequence[str]:
    return [_key(request, target) for target in request.targets]


def _warning(reading: Reading) -> str:
    if reading.kind in ("url", "prefix"):
        return ONLY_WITH_PATHS
    return ONLY_WITH_NAMES if reading.kind == "address" else ""


def _digest(request: Request, read: Sequence[Reading]) -> str:
    """Which expressions, and for how long: whatever else is on the list changes nothing for them."""
    said = [
        int(request.type),
        request.parameters.get("days", 0),
        sorted([each.expression, each.kind] for each in read),
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
