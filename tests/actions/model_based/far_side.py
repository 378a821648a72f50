"""A far side that counts: what was touched under which key, and what it answers when asked again.

It stops at every point where a real call could hang; what then happens (`Fate`) is the machine's
choice. Keyed, it never touches the same key twice; queryable and blind it does whatever it is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors import base

KIND = "counting"
LABEL = "Counting"
SIMULATED = True
SETTINGS_SCHEMA: base.Json = {}


class Point(StrEnum):
    """Where a runner can freeze or die."""

    CONNECT = "before the intent mark"
    SEND = "after the intent mark, before it is sent"
    ANSWER = "after it was sent, before the answer"
    ASK = "before it is asked what became of it"
    READ = "before it is read back"


@dataclass(frozen=True)
class Fate:
    """What the far side does in one call."""

    send: str = "go"
    """`go`, `refuse`, `offline`, or `later`: taken on, to be asked for again."""
    answer: str = "all"
    """`all`, `lost`, or `part`: only the first target's result."""
    readable: bool = True


@dataclass
class World:
    """All that is outside. `touched` is told (key, target, type) of every effect."""

    delivery: base.Delivery
    pause: Callable[[Point], Fate]
    touched: Callable[[str, int, ActionType], None]
    isolated: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    answers: dict[tuple[str, str], base.Result] = field(default_factory=dict)

    def touch(self, request: base.Request, target: base.Target) -> None:
        wanted = request.type == ActionType.ISOLATE_DEVICE
        before = target.remote in self.isolated
        self.isolated ^= {target.remote} if before != wanted else set()
        outcome = base.Outcome.ALREADY if before == wanted else base.Outcome.SUCCEEDED
        self.answers[request.id, target.key] = base.Result(target.key, outcome, before={"isolated": before})
        self.touched(request.id, int(target.key), request.type)


class Counting:
    kind = KIND

    def __init__(self, world: World) -> None:
        self.world = world

    def capabilities(self, kind: TargetKind, remote: str) -> Mapping[ActionType, base.Capability]:
        one = base.Capability(base.Support.SUPPORTED, undoable=True, delivery=self.world.delivery)
        return dict.fromkeys(ActionType, one)

    def check(self) -> base.Health:
        return base.Health(True, "It counts.")

    def preview(self, request: base.Request) -> base.Plan:
        return base.Plan(observed={}, changes=["It is cut off."], digest="same")

    def search(self, criteria: Mapping[str, Any], cursor: base.Json | None) -> base.Page:
        return base.Page([], complete=True)

    def step(
        self, request: base.Request, cursor: base.Json | None, journal: base.Journal
    ) -> base.Done | base.Continue:
        fate = Fate()
        for target in request.targets:
            if self._told_before(request, target, cursor):
                continue
            fate = self.world.pause(Point.SEND)
            if request.id in self.world.given_up:
                return self._given_up(request)
            if fate.send == "later" and cursor is None:
                self.world.accepted.add(request.id)
                return base.Continue({"on": True}, 1.0, 0, len(request.targets))
            _obstacle(fate)
            journal.intent([target.key])
            self.world.touch(request, target)
        fate = self.world.pause(Point.ANSWER)
        if fate.answer == "lost":
            raise base.Unknown("No answer came.")
        return self._done(request, only_first=fate.answer == "part")

    def _told_before(self, request: base.Request, target: base.Target, cursor: base.Json | None) -> bool:
        dedupes = self.world.delivery is base.Delivery.KEYED or cursor is not None
        return dedupes and (request.id, target.key) in self.world.answers

    def _done(self, request: base.Request, *, only_first: bool) -> base.Done:
        targets = request.targets[:1] if only_first else request.targets
        return base.Done([self.world.answers[request.id, target.key] for target in targets])

    def _given_up(self, request: base.Request) -> base.Done:
        cancelled = {t.key: base.Result(t.key, base.Outcome.CANCELLED) for t in request.targets}
        known = {key: answer for (ref, key), answer in self.world.answers.items() if ref == request.id}
        return base.Done([known.get(key, answer) for key, answer in cancelled.items()])

    def cancel(self, request: base.Request, cursor: base.Json | None) -> bool:
        """What isn't done yet stays undone from here on."""
        done = sum((request.id, target.key) in self.world.answers for target in request.targets)
        if done == len(request.targets):
            return False
        self.world.given_up.add(request.id)
        return True

    def lookup(self, request: base.Request) -> base.Done | base.Continue | None:
        self.world.pause(Point.ASK)
        found = [a for (ref, _), a in self.world.answers.items() if ref == request.id]
        if request.id in self.world.given_up:
            return self._given_up(request)
        if len(found) == len(request.targets):
            return base.Done(found)
        if found or request.id in self.world.accepted:
            return base.Continue({"on": True}, 1.0, len(found), len(request.targets), results=found)
        return None

    def verify(self, request: base.Request) -> base.Observed:
        if not self.world.pause(Point.READ).readable:
            raise base.Transient("It can't be read now.")
        wanted = request.type == ActionType.ISOLATE_DEVICE
        return base.Observed({t.key: (t.remote in self.world.isolated) == wanted for t in request.targets})


def _obstacle(fate: Fate) -> None:
    if fate.send == "refuse":
        raise base.Permanent("refused", "It will not.")
    if fate.send == "offline":
        raise base.Transient("It is offline.", offline=True)


_worlds: list[World] = []
"""The one that is open now, if any: a connector is built by name, out of a row."""


def enter(world: World) -> None:
    _worlds[:] = [world]


def build(settings: Mapping[str, Any], secret: Mapping[str, Any]) -> Counting:
    world = _worlds[-1]
    world.pause(Point.CONNECT)
    return Counting(world)
