"""Decided work on a target that counts, and how a run over it is judged."""

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import Min, Q, QuerySet
from django.test import Client

from actioncenter.actions.enums import TARGET_ENDS, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget, Attempt
from actioncenter.audit.models import Event
from actioncenter.connectors.base import Delivery
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.web.clock import database_now
from tests import factories
from tests.actions.stopping import PATIENCE, decided, decided_cluster, simulated, until

__all__ = ["PATIENCE", "Delivery", "Estate", "decided", "decided_cluster", "until"]
STANDSTILL = 300.0
"""Seconds without progress after which a machine, however busy, has failed."""
CHUNK = 5
"""Messages that the target takes at once."""
PENDING = "/action-center/pending"


def estate_of(folder: Path, delivery: Delivery = Delivery.KEYED, *, slow: float = 0.0) -> Estate:
    """The target: a simulated estate in a file of its own, which counts what is really done to it."""
    return simulated(folder, slow=slow, delivery=delivery.value, chunk=CHUNK)


def effects(estate: Estate) -> Counter[str]:
    """How often each target was really acted on, under whatever request."""
    with sqlite3.connect(estate.path, timeout=30) as sql:
        # Whoever makes it makes the file first.
        has_any = sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'effects'").fetchone()
        rows = sql.execute("SELECT key, COUNT(*) FROM effects GROUP BY key") if has_any else ()
        counted = Counter(dict(rows))
    sql.close()
    return counted


def is_quiet() -> bool:
    """Nothing is left that a runner could do: what needs a look waits for a person."""
    busy = Q(next_poll_at__isnull=False) | Q(lease_until__isnull=False)
    known = Action.objects.running().exclude(execution=Execution.OUTCOME_UNKNOWN)
    return not (known.exists() or Attempt.objects.filter(busy, ended_at=None).exists())


def held_now() -> "QuerySet[Attempt]":
    """What some runner is at, dead or alive."""
    return Attempt.objects.filter(ended_at=None, lease_until__isnull=False)


@dataclass
class Watch:
    """How long what a dead or frozen runner held lay there while somebody lived who could take it over."""

    since: datetime = field(default_factory=database_now)
    overdue: float = 0.0
    """Seconds beyond the end of a lease, the most that was seen."""

    def look(self) -> None:
        oldest = Attempt.objects.filter(ended_at=None).aggregate(oldest=Min("lease_until"))["oldest"]
        if oldest is not None:
            self.overdue = max(self.overdue, (database_now() - max(oldest, self.since)).total_seconds())

    def sees_quiet(self) -> bool:
        self.look()
        return is_quiet()


def until_quiet(watch: Watch | None = None) -> None:
    """As long as it takes, while it gets on."""
    ended = Action.objects.filter(history_at__isnull=False).count
    seen = watch or Watch()

    def quiet_or_further(before: int) -> bool:
        return seen.sees_quiet() or ended() > before

    while not is_quiet():
        before = ended()
        until(lambda before=before: quiet_or_further(before), "it never became quiet", patience=STANDSTILL)


@dataclass
class Verdict:
    """What a run did wrong, as sentences; `unknown` are the actions that a person has to look at."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    mistold: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    unknown: int = 0
    overdue: float = 0.0
    """As `Watch` says. At most a lease: the other of the two was the dead one's."""

    @property
    def wrong(self) -> list[str]:
        return self.lost + self.doubled + self.stuck + self.mistold + self.hidden

    def __str__(self) -> str:
        figures = {
            name: len(getattr(self, name)) for name in ("lost", "doubled", "stuck", "mistold", "hidden")
        }
        return ", ".join(f"{number} {name}" for name, number in {**figures, "unknown": self.unknown}.items())


def judged(estate: Estate, *, delivery: Delivery, watch: Watch | None = None) -> Verdict:
    """Of a run that has become quiet. Outcome unknown is an answer of blind targets only."""
    found, done = Verdict(overdue=watch.overdue if watch else 0.0), effects(estate)
    found.doubled = [f"target {key} was acted on {times} times" for key, times in done.items() if times > 1]
    for target in ActionTarget.objects.order_by("pk"):
        _judge(found, target, done[str(target.pk)], blind=delivery is Delivery.BLIND)
    stuck = Action.objects.filter(execution__in=[Execution.QUEUED, Execution.IN_PROGRESS])
    found.stuck = [f"{action} is stuck {Execution(action.execution).name}" for action in stuck]
    left_open = Attempt.objects.filter(ended_at=None).exclude(action__in=Action.objects.needs_a_look())
    found.stuck += [f"{attempt} is still open" for attempt in left_open]
    ends = Counter(Event.objects.filter(kind="action.succeeded").values_list("stream", flat=True))
    found.mistold += [f"{stream} succeeded {times} times" for stream, times in ends.items() if times > 1]
    unknown = Action.objects.filter(execution=Execution.OUTCOME_UNKNOWN)
    found.unknown = unknown.count()
    found.hidden = hidden(list(unknown))
    return found


def _judge(found: Verdict, target: ActionTarget, times: int, *, blind: bool) -> None:
    state = TargetState(target.state)
    told = f"target {target.pk} of A-{target.action_id} is {state.name}: {target.error}"
    if state == TargetState.UNKNOWN:
        if not blind:
            found.mistold.append(told)
    elif state == TargetState.SUCCEEDED:
        if not (times and target.read_back_at):
            found.lost.append(f"{told}, and wasn't done or read back")
    elif state in TARGET_ENDS:
        found.mistold.append(told)
    else:
        found.stuck.append(told)


def hidden(unknown: list[Action]) -> list[str]:
    """Which of them a person wouldn't find on Pending, or not told what to do next."""
    if not unknown:
        return []
    client = Client()
    client.force_login(factories.person("mira"))
    shown: set[int] = set()
    address = PENDING
    while address:
        page = client.get(address)
        bands = {band["key"]: band["rows"] for band in page.context["groups"]}
        shown |= {row["number"] for row in bands.get("look", [])}
        address = page.context["page"]["next_url"]
    found = [f"{action.label} is not on Pending" for action in unknown if action.pk not in shown]
    pane: Any = client.get(f"/action-center/actions/{unknown[0].pk}")
    text = pane.content.decode()
    if not all(hint in text for hint in ("somebody has to look", "/happened", "/not-happened")):
        found.append(f"{unknown[0].label} does not say what to do next")
    return found
