"""The connector: admits a call, then leaves it to the module whose business it is."""

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import (
    Capability,
    Continue,
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
    Reading,
    Request,
    Transient,
    Unsupported,
)
from actioncenter.connectors.simulator import clusters, plans
from actioncenter.connectors.simulator.capabilities import THROUGH_PEERS, cancellable, capability, on_mail
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.faults import Behaviour, Faults
from actioncenter.connectors.simulator.ledger import Ledger
from actioncenter.connectors.simulator.places import Place
from actioncenter.connectors.simulator.running import Options, Run, unfinished
from actioncenter.connectors.simulator.scene import DEVICE, MAILBOX, Ref, Scene
from actioncenter.connectors.simulator.table import case_of, host_state, owner_of, verb_of
from actioncenter.connectors.simulator.verbs import holds

KIND = "simulator"


class Simulator:
    """Changes the simulated estate and nothing else. `clock` gives seconds since the epoch."""

    kind = KIND

    def __init__(
        self, estate: Estate, options: Options, token: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        self.estate = estate
        self.options = options
        self.clock = clock
        # Only the digest is kept, so that no error or trace can show the token.
        self._token = hashlib.sha256(token.encode()).hexdigest()
        self.signings = 0
        """How often the far side was shown the token."""

    def check(self) -> Health:
        try:
            with self._admitted() as scene:
                devices, mailboxes = len(list(scene.of(DEVICE))), len(list(scene.of(MAILBOX)))
        except (Permanent, Transient) as error:
            if isinstance(error, Transient) and error.throttled:
                raise
            return Health(False, str(error))
        facts = {"devices": devices, "mailboxes": mailboxes, "simulated": True}
        return Health(True, "Simulated: nothing real is changed.", facts)

    def capabilities(self, kind: TargetKind, remote: str) -> Mapping[ActionType, Capability]:
        with self._admitted() as scene:
            host = scene.get(Ref(MAILBOX if on_mail(kind) else DEVICE, "", remote)) or {}
            told = Faults(scene.sql).value(Behaviour.OFFLINE, remote) is not None
        offline = told or host.get("online") is False
        os = host.get("os", "unknown")
        return {each: capability(each, kind, os, offline, self.options.delivery) for each in ActionType}

    def preview(self, request: Request) -> Plan:
        verb_of(request)
        with self._admitted() as scene:
            _reachable(scene, request)
            return plans.plan(scene, request, self.clock())

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        """A cluster is carried out through the messages of its plan, so that what was approved is what is hit."""
        run = Run(self.estate, self.options, request, journal, self.clock())
        if any(target.kind is TargetKind.CLUSTER for target in request.targets):
            raise Permanent(
                "cluster_not_expanded", "A cluster is carried out through the messages of its plan."
            )
        with self._admitted():
            pass
        try:
            return run.step(cursor)
        except sqlite3.Error:
            raise Transient("The estate can't be opened.") from None

    def cancel(self, request: Request, cursor: Json | None) -> bool:
        """Whether what is not done yet will stay undone."""
        if not cancellable(request.type):
            return False
        with self._admitted(write=True) as scene:
            ledger = Ledger(scene.sql, request)
            if len(ledger.answers(target.key for target in request.targets)) == len(request.targets):
                return False
            ledger.cancel()
        return True

    def verify(self, request: Request) -> Observed:
        verb = verb_of(request)
        in_force: dict[str, bool | None] = {}
        detail: dict[str, Json] = {}
        with self._admitted() as scene:
            _reachable(scene, request)
            for target in plans.expanded(scene, request.targets):
                case = case_of(scene, request, target, self.clock())
                in_force[target.key] = holds(verb, case)
                detail[target.key] = plans.visible(case.state)
        return Observed(in_force, detail)

    def lookup(self, request: Request) -> Done | Continue | None:
        if self.options.delivery is Delivery.BLIND:
            raise Unsupported("It can't be asked what became of a request.")
        with self._admitted() as scene:
            ledger = Ledger(scene.sql, request)
            if not ledger.known():
                return None
            answers = ledger.answers(target.key for target in request.targets)
            left = tuple(target.key for target in request.targets if target.key not in answers)
            if not left or ledger.cancelled():
                return unfinished(ledger, request.targets, Outcome.CANCELLED)
            place = Place(next=None, left=left, total=len(request.targets), **ledger.progress())
        return Continue(place.json(), 0.0, len(answers), place.total, "", list(answers.values()))

    def search(self, criteria: Mapping[str, Any], cursor: Json | None) -> Page:
        with self._admitted() as scene:
            return clusters.search(scene, criteria, cursor)

    def read(self, mailbox: str, stable_id: str, message_id: str) -> Reading:
        with self._admitted() as scene:
            return clusters.read(scene, stable_id)

    @contextlib.contextmanager
    def _admitted(self, *, write: bool = False) -> Iterator[Scene]:
        """A scene, if the estate lets us in."""
        try:
            with self.estate.writing() if write else self.estate.reading() as scene:
                _answering_at_all(Faults(scene.sql))
                self.signings += 1
                row = scene.sql.execute("SELECT value FROM meta WHERE name = 'token'").fetchone()
                if row and row[0] != self._token:
                    raise Permanent("credentials", "The estate refused the sign-in.")
                yield scene
        except sqlite3.Error:
            raise Transient("The estate can't be opened.") from None


def _answering_at_all(faults: Faults) -> None:
    """What the far side shows before it hears who asks, and that it may have had enough."""
    if faults.value(Behaviour.IMPOSTOR, "") is not None:
        raise Permanent("identity", "The estate shows another identity than the one trusted.")
    patience = faults.value(Behaviour.THROTTLE, "")
    if patience is not None:
        raise Transient("Too many requests.", retry_after=float(patience), throttled=True)


def _reachable(scene: Scene, request: Request) -> None:
    """Raise Transient if something that has to be read is offline."""
    if request.type in THROUGH_PEERS:
        return
    faults = Faults(scene.sql)
    for target in request.targets:
        told = faults.value(Behaviour.OFFLINE, owner_of(request, target)) is not None
        if told or host_state(scene, request, target).get("online") is False:
            raise Transient("It is offline.", retry_after=30.0, offline=True)
