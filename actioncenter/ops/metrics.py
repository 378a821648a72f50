"""The figures of the installation for Prometheus, all from the database: every process gives the same."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, F, Max, Min, Q, Sum
from django.db.models.functions import Now
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actioncenter.accounts.models import Notice
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, AttemptState, Decision, Execution
from actioncenter.actions.models import Action, Attempt, Tally, tally
from actioncenter.actions.queries import runners
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.ops.doctor.work import stuck_attempts
from actioncenter.settings.models import Destination, Host, Installation, Stop
from actioncenter.settings.models.streams import newest_seal
from actioncenter.web.clock import database_now

DAY: Final = timedelta(days=1)
COUNTED: Final = {
    "refused": Kind.ACTION_REFUSED,
    "rails_hit": Kind.RAIL_REACHED,
}
ENDS: Final = frozenset(tally.ENDED.values())
Labels = tuple[str, ...]
Labelled = list[tuple[Labels, float]]


class Domain(Collector):
    """Read anew for every scrape, in a fixed number of statements."""

    def collect(self) -> Iterator[Metric]:
        yield from _actions()
        yield from _numbers()
        yield from _tallies()
        yield from _last_day()
        yield from _waiting()
        yield from _runners()
        yield from _rest()


def exposition() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Domain())
    return generate_latest(registry)


def _gauge(name: str, said: str, rows: Labelled, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"actioncenter_{name}", said, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _one(name: str, said: str, number: Any) -> Metric:
    return _gauge(name, said, [((), float(number or 0))])


def _count(name: str, said: str, rows: Labelled, *labels: str) -> Metric:
    family = CounterMetricFamily(f"actioncenter_{name}", said, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _total(name: str, said: str, number: Any) -> Metric:
    return _count(name, said, [((), float(number or 0))])


def _actions() -> Iterator[Metric]:
    """What hasn't ended is counted exactly; what has, over a day: counting all of it would walk millions."""
    labels = ("decision", "execution")
    live = Action.objects.filter(history_at__isnull=True)
    ended = Action.objects.filter(history_at__gt=Now() - DAY)
    yield _gauge("actions", "Actions that have not ended", _by_state(live), *labels)
    yield _gauge("actions_ended_day", "Actions that ended within 24 hours", _by_state(ended), *labels)


def _by_state(rows: Any) -> Labelled:
    found = rows.order_by().values_list("decision", "execution").annotate(Count("pk"))
    return [
        ((Decision(decision).name.lower(), Execution(execution).name.lower()), number)
        for decision, execution, number in found
    ]


def _numbers() -> Iterator[Metric]:
    """Highest numbers: they grow with every row and jump only after a restore."""
    yield _total("action_number", "Highest number of an action", _highest(Action))
    yield _total("attempt_number", "Highest number of an attempt", _highest(Attempt))
    yield _total("audit_event_number", "Highest number of an audit event", _highest(Event))


def _highest(model: Any) -> int | None:
    found: int | None = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    return found


def _tallies() -> Iterator[Metric]:
    """What a runner has counted of the sealed log: a few seconds behind, and the same wherever it is asked."""
    proposed, decided, ended, refused = (Counter[Labels]() for _ in range(4))
    for of, what, by_machine, number in Tally.objects.values_list("type", "what", "by_machine", "number"):
        code, by = CATALOGUE[ActionType(of)].code, "machines" if by_machine else "people"
        if what == tally.PROPOSED:
            proposed[code, by] += number
        elif what == tally.REFUSED:
            refused[(code,)] += number
        elif what in ENDS:
            ended[code, what] += number
        else:
            decided[code, what, by] += number
    yield _count("proposals", "Actions proposed", [*proposed.items()], "type", "by")
    yield _count("decisions", "Decisions on actions", [*decided.items()], "type", "decision", "by")
    yield _count("outcomes", "How actions ended, each time one did", [*ended.items()], "type", "outcome")
    yield _count(
        "refusals", "Actions that a runner refused to begin or go on with", [*refused.items()], "type"
    )


def _last_day() -> Iterator[Metric]:
    kinds = [kind.value for kind in COUNTED.values()]
    rows = Event.objects.filter(kind__in=kinds, at__gt=Now() - DAY)
    found = dict(rows.order_by().values_list("kind").annotate(Count("pk")))
    for name, kind in COUNTED.items():
        yield _one(f"{name}_day", f"Events {kind.value} within 24 hours", found.get(kind.value))


def _waiting() -> Iterator[Metric]:
    rows = Action.objects.filter(history_at__isnull=True).aggregate(
        pending=Count("pk", filter=Q(decision=Decision.PENDING, expires_at__gt=Now())),
        unknown=Count("pk", filter=Q(execution=Execution.OUTCOME_UNKNOWN)),
        oldest=Min("queued_at", filter=Q(execution=Execution.QUEUED)),
    )
    oldest = rows["oldest"]
    age = (database_now() - oldest).total_seconds() if oldest else 0
    yield _one("pending", "Actions that wait for a decision", rows["pending"])
    yield _one("outcome_unknown", "Actions whose outcome somebody has to look at", rows["unknown"])
    yield _one("oldest_queued_seconds", "For how long the oldest queued action has waited", max(age, 0))
    yield _one("stuck_attempts", "Attempts in nobody's hands for two leases", stuck_attempts())


def _runners() -> Iterator[Metric]:
    known = runners.known()
    yield _one("runners", "Runners that are heard", sum(not row.silent for row in known))
    yield _one(
        "runners_silent", "Runners that said no goodbye and are not heard", sum(row.silent for row in known)
    )
    yield _one("in_flight", "Pieces of work that runners are at", sum(row.in_flight for row in known))
    under_way = Attempt.objects.filter(ended_at__isnull=True).exclude(state=AttemptState.FINISHED).count()
    yield _one("attempts_open", "Attempts that have not ended", under_way)


def _rest() -> Iterator[Metric]:
    notices = Notice.objects.undelivered().count()
    lost = Host.objects.aggregate(lost=Sum("wakes_lost"), skew=Max(F("skew")))
    held = Installation.objects.filter(held_at__isnull=False).exists()
    yield _one("notices_undelivered", "Notices that could not be mailed", notices)
    yield _total("wakes_lost", "Wake-ups that the broker did not take", lost["lost"])
    yield from _streams()
    yield _one("stops", "Stops and pauses in force", Stop.objects.in_force().count())
    yield _one("restore_held", "1 while dispatch is held over a restored database", held)


def _streams() -> Iterator[Metric]:
    newest = newest_seal()
    rows = list(Destination.objects.filter(enabled=True).values_list("name", "seal", "failures"))
    behind: Labelled = [((name,), max(newest - seal, 0)) for name, seal, _ in rows]
    yield _gauge("stream_behind", "Seals that a receiver of the log has not got", behind, "destination")
    failures: Labelled = [((name,), number) for name, _, number in rows]
    yield _gauge("stream_failures", "Tries in a row that a receiver has not taken", failures, "destination")
