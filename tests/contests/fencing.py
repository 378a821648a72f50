"""Deciders at work in processes of their own, while an admin changes what their decisions rest on.

Reads {"rounds": n, "changes": [...], "plant": bool} and prints {"late": {change: n}, "done": {change: n},
"waits_ms": {change: [...]}}. The planted mistake is a plain read: what a decision rests on is read before its
transaction; it ends the contest when it shows. `late` counts what was committed after the admin read "saved" and before the change was
taken back: a fence that holds lets nothing through. `done` counts what was decided meanwhile otherwise.
"""

import json
import multiprocessing
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import connection, connections, transaction

from actioncenter.accounts import fence
from actioncenter.accounts.models import User
from actioncenter.actions import planning
from actioncenter.actions.enums import Decision
from actioncenter.actions.execution import candidates, claiming
from actioncenter.actions.models import Action, Attempt, Conflict, attempting, deciding
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import AutomationLevel, Role, StopKind, StopScope
from actioncenter.settings.models import ConnectorInstance, DeviceGroup, Stop
from actioncenter.settings.models.connectors import MOST_PARALLEL
from investigations.models import Evidence
from tests import factories

RUNNER = Actor.system("runner")
OPEN, HASTE = 0.05, 0.03
"""Seconds that a change is left in force; seconds between reading and writing in the planted mistake,
which gets ten times as long to show."""
PATIENCE = 30.0


class Field:
    """What the processes share: the group of this round, and whether it is over."""

    def __init__(self) -> None:
        fork = multiprocessing.get_context("fork")
        self.group = fork.Value("q", 0)
        self.over = fork.Event()


@contextmanager
def read_before(owner: Any, name: str, *given: Any) -> Iterator[None]:
    """Let `owner.name` give what it gives now, a while later."""
    real = getattr(owner, name)
    found = real(*given)
    time.sleep(HASTE)
    setattr(owner, name, lambda *_: found)
    try:
        yield
    finally:
        setattr(owner, name, real)


def plan_automatically(field: Field, plant: bool) -> None:
    group = DeviceGroup.objects.get(pk=field.group.value)
    found = factories.file_evidence(factories.device(f"auto-{time.monotonic_ns()}", in_group=group))
    rows = Evidence.objects.filter(pk=found.pk)
    with read_before(planning, "_read", rows) if plant else nullcontext():
        planning.plan([found.pk])


def approve(field: Field, plant: bool) -> None:
    asking = DeviceGroup.objects.get(name="Finance laptops")
    evidence = factories.file_evidence(factories.device(f"ask-{time.monotonic_ns()}", in_group=asking))
    (action,) = factories.planned(evidence)
    mira = User.objects.get(username="mira").actor()
    try:
        with read_before(deciding, "voter_rights", mira) if plant else nullcontext():
            action.approve(by=mira)
    except (Refused, NotVisible, Conflict):
        return


def claim(field: Field, plant: bool) -> None:
    if not plant:
        claiming.claim_next("contest", by=RUNNER)
        return
    for pk in candidates.candidates():
        if Stop.objects.in_force().exists():
            return
        time.sleep(HASTE)
        with transaction.atomic():
            rows = Action.objects.filter(pk=pk)
            if connection.features.has_select_for_update:
                rows = rows.select_for_update(no_key=True, skip_locked=True)
            action = rows.first()
            if action and attempting.claim(action, runner="hasty", lease=claiming.LEASE, by=RUNNER):
                return


DECIDERS: list[Callable[[Field, bool], None]] = [plan_automatically, approve, claim]


def work(decide: Callable[[Field, bool], None], field: Field, plant: bool) -> None:
    factories._numbers = iter(range(time.monotonic_ns(), 10**30))  # type: ignore[assignment]
    while not field.over.is_set():
        if field.group.value:
            decide(field, plant)
        time.sleep(0.002)
    connections.close_all()


def claimed() -> int:
    return Attempt.objects.count()


def decided_by_mira() -> int:
    return Action.objects.filter(decision=Decision.APPROVED, decided_by__username="mira").count()


class Admin:
    """Each change: what it counts, how it is made and how it is taken back."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.noa = User.objects.get(username="noa")
        self.mira = User.objects.get(username="mira")
        self.stop: Stop | None = None
        self.waits: dict[str, list[float]] = defaultdict(list)
        self.rounds = 0

    @property
    def by(self) -> Actor:
        """With a password given just now: a hundred rounds may take longer than a proof lasts."""
        return self.noa.actor(proved_at=time.time())

    def new_group(self) -> None:
        """For every round, because what is automatic is capped by group."""
        self.rounds += 1
        self.field.group.value = factories.group(f"Round {self.rounds}", AutomationLevel.FULL).pk

    def automatic(self) -> int:
        return Action.objects.filter(group=self.field.group.value, decision=Decision.NOT_REQUIRED).count()

    def pull(self) -> None:
        self.stop = Stop.pull(StopKind.STOP, StopScope.ALL, by=self.by)

    def release(self) -> None:
        assert self.stop is not None
        self.stop.lift(by=self.by)

    def lower(self) -> None:
        DeviceGroup.objects.get(pk=self.field.group.value).change_level(AutomationLevel.SEMI_ALL, by=self.by)

    def revoke(self) -> None:
        self.mira.revoke(Role.RESPONDER, by=self.by)

    def demote(self) -> None:
        with fence.exclusive():
            self.mira.grant(Role.ANALYST, by=self.by)
            self.mira.revoke(Role.RESPONDER, by=self.by)

    def reinstate(self) -> None:
        self.mira.grant(Role.RESPONDER, by=self.by)

    def round(self, change: str, *, leave: float) -> tuple[int, int]:
        """How much came late, and how much had come in time."""
        count, make, take_back = {
            "switch": (claimed, self.pull, self.release),
            "level": (self.automatic, self.lower, lambda: None),
            "right": (decided_by_mira, self.revoke, self.reinstate),
            "role": (decided_by_mira, self.demote, self.reinstate),
        }[change]
        self.new_group()
        before, began = count(), time.monotonic()
        while count() == before and time.monotonic() - began < PATIENCE:
            time.sleep(0.005)
        asked = time.monotonic()
        make()
        saved = count()
        self.waits[change].append((time.monotonic() - asked) * 1000)
        time.sleep(leave)
        late = count() - saved
        take_back()
        return late, saved - before


def main() -> None:
    spec: dict[str, Any] = json.load(sys.stdin)
    field, fork = Field(), multiprocessing.get_context("fork")
    # What is claimed here is never done.
    ConnectorInstance.objects.update(max_parallel=MOST_PARALLEL)
    connections.close_all()
    # Each process opens a connection of its own: none is open before the fork.
    deciders = [fork.Process(target=work, args=(each, field, spec["plant"])) for each in DECIDERS * 2]
    for each in deciders:
        each.start()
    admin, late, done = Admin(field), Counter[str](), Counter[str]()
    try:
        for _ in range(spec["rounds"]):
            for change in spec["changes"]:
                behind, before = admin.round(change, leave=OPEN * 10 if spec["plant"] else OPEN)
                late[change] += behind
                done[change] += bool(before)
            if spec["plant"] and any(late.values()):
                break
    finally:
        field.over.set()
        for each in deciders:
            each.join()
    codes = [each.exitcode for each in deciders]
    sys.stdout.write(json.dumps({"late": late, "done": done, "waits_ms": admin.waits, "codes": codes}))
