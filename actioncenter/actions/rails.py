"""What automation may still do: caps and breakers, asked and counted under the rails' own locks.

Policy stays pure: what is known here goes into its facts, and it decides.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.actions.wishes import Judged
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import BreakerState, StopKind, StopScope, StopSource
from actioncenter.settings.models import Breaker, DeviceGroup, Rail, RailKey, RailUse, Safeguards, Stop
from actioncenter.settings.models.rails import KNOWN_FOR, Window
from investigations.models import Device, Evidence

NO_GROUP: Final = "What belongs to no device group"
BAD: Final = frozenset(
    {Execution.FAILED, Execution.PARTLY_SUCCEEDED, Execution.TIMED_OUT, Execution.OUTCOME_UNKNOWN}
)
SAYS_NOTHING: Final = Q(execution=Execution.CANCELLED) | Q(
    execution=Execution.TIMED_OUT, code="patience_ended"
)
"""Nothing was sent, so it went neither well nor wrong."""
LATELY: Final = timedelta(hours=1)
AUTOMATIC: Final = Q(decision=Decision.NOT_REQUIRED, requested_by__isnull=True, undo_of__isnull=True)


class Pair(NamedTuple):
    """What a breaker is about."""

    group_id: int | None
    type: ActionType

    @property
    def rail(self) -> RailKey:
        return RailKey(self.group_id, CATALOGUE[self.type].device_wide)


def pair_of(judged: Judged) -> Pair:
    on_device = CATALOGUE[judged.wish.type].area == Area.DEVICE
    return Pair(judged.group.pk if judged.group and on_device else None, judged.wish.type)


def sizes(groups: Iterable[int | None]) -> dict[int | None, int]:
    """How many devices each has whose share counts: whoever reports new ones must not raise the cap by it."""
    known = Device.objects.filter(first_seen__lte=Now() - KNOWN_FOR)
    counted = known.filter(group__in={pk for pk in groups if pk}).order_by().values("group")
    return {row["group"]: row["devices"] for row in counted.annotate(devices=Count("pk"))}


def hold_all(evidence: "QuerySet[Evidence]") -> None:
    """Lock every rail that planning these may need. The caller is in a transaction."""
    groups = set(evidence.order_by().values_list("device__group", flat=True).distinct())
    Rail.hold(RailKey(group, device_wide) for group in groups | {None} for device_wide in (False, True))


class Licences:
    """The rails and breakers that some wishes need, locked until the transaction ends."""

    def __init__(self, rails: Mapping[RailKey, Rail], by: Actor) -> None:
        self.by = by
        self.rails = rails
        self.windows: dict[RailKey, Window] = RailUse.windows(rails) if rails else {}
        self.used: dict[RailKey, int] = dict.fromkeys(rails, 0)
        self.refused: set[RailKey] = set()
        self.figures = Safeguards.current() if rails else Safeguards()
        groups = {key.group_id for key in rails}
        self.sizes = sizes(groups) if rails else {}
        self.names = _names(groups) if rails else {}
        self.breakers: dict[Pair, Breaker | None] = {}

    @classmethod
    def hold(cls, automatic: Iterable[Judged], *, by: Actor) -> "Licences":
        """For what would run by itself. One call per transaction."""
        pairs = {pair_of(judged) for judged in automatic}
        licences = cls(Rail.hold(pair.rail for pair in pairs) if pairs else {}, by)
        for pair in sorted(pairs, key=lambda pair: (*pair.rail.place, pair.type)):
            licences.breakers[pair] = standing(pair, licences.figures, by=by)
        return licences

    def cap(self, key: RailKey) -> int:
        return self.figures.cap(device_wide=key.device_wide, devices=self.sizes.get(key.group_id, 0))

    def judge(self, judged: Judged) -> Judged:
        """The same with what rails and breakers say now; only ever stricter."""
        if not judged.automatic:
            return judged
        pair = pair_of(judged)
        known = self._withheld(self.breakers[pair]) or self._over(pair.rail)
        return judged.again(**known) if known else judged

    def _withheld(self, breaker: Breaker | None) -> dict[str, Any]:
        if breaker is None or (breaker.state == BreakerState.PROBING and breaker.probe_id is None):
            return {}
        return _as_facts(breaker)

    def _over(self, key: RailKey) -> dict[str, Any]:
        window, cap = self.windows[key], self.cap(key)
        if window.used < cap:
            return {}
        self.refused.add(key)
        free = window.free_at(cap)
        free_at = f"{free:%Y-%m-%d %H:%M} UTC" if free else ""
        return {"over_cap": True, "used": window.used, "cap": cap, "free_at": free_at}

    def use(self, judged: Judged, action: Action) -> None:
        """Count an action that was really made, if it runs by itself."""
        if not judged.automatic or not action.automatic:
            return
        pair = pair_of(judged)
        self.windows[pair.rail].use()
        self.used[pair.rail] += 1
        breaker = self.breakers[pair]
        if breaker is not None:
            breaker.probe(action.pk, by=self.by)

    def remember(self) -> None:
        """Write down what was used, in the order of the locks."""
        for key in sorted(self.rails, key=lambda key: key.place):
            self.rails[key].remember(
                self.windows[key],
                self.used[key],
                cap=self.cap(key),
                refused=key in self.refused,
                name=self.names.get(key.group_id, NO_GROUP),
                by=self.by,
            )


def _names(groups: Iterable[int | None]) -> dict[int | None, str]:
    named = DeviceGroup.objects.filter(pk__in={pk for pk in groups if pk})
    return dict(named.values_list("pk", "name"))


def _as_facts(breaker: Breaker) -> dict[str, Any]:
    return {"breaker_open": True, "breaker_bad": breaker.bad, "breaker_of": breaker.of}


def breaker_facts(action: Action) -> dict[str, Any]:
    """For the runner: whether automation lost its licence after this was decided. Takes no lock."""
    live = Breaker.objects.live().filter(group_id=action.group_id, action_type=action.type)
    breaker = live.exclude(probe_id=action.pk).first()
    return _as_facts(breaker) if breaker else {}


def standing(pair: Pair, figures: Safeguards, *, by: Actor) -> Breaker | None:
    """The breaker that holds the pair back, after looking at how its actions ended. The rail is held."""
    live = Breaker.objects.live().filter(group_id=pair.group_id, action_type=pair.type)
    breaker = live.select_related("group").first()
    if breaker is not None:
        return _after_probe(breaker, figures, by=by)
    bad, of = tally(pair, figures)
    if bad < figures.bad_enough:
        return None
    group = DeviceGroup.objects.filter(pk=pair.group_id).first() if pair.group_id else None
    return Breaker.open_for(group, pair.type, bad=bad, of=of, days=figures.cooling_off_days, by=by)


def _after_probe(breaker: Breaker, figures: Safeguards, *, by: Actor) -> Breaker | None:
    if breaker.state != BreakerState.PROBING or breaker.probe_id is None:
        return breaker
    probe = Action.objects.filter(pk=breaker.probe_id).first()
    if probe is None or Action.objects.filter(SAYS_NOTHING, pk=probe.pk).exists():
        breaker.forget_probe()
    elif probe.execution in BAD or probe.undone_by_id:
        breaker.reopen(days=figures.cooling_off_days, by=by)
    elif probe.execution == Execution.SUCCEEDED:
        breaker.close(by=by)
        return None
    return breaker


def tally(pair: Pair, figures: Safeguards) -> tuple[int, int]:
    """(bad, of): how the last automatic actions ended since the licence was last given back.

    What has an unknown outcome counts as the latest, until somebody has looked.
    """
    rows = Action.objects.filter(AUTOMATIC, group_id=pair.group_id, type=pair.type)
    since = Breaker.since(pair.group_id, pair.type).first()
    unknown = rows.filter(history_at__isnull=True, execution=Execution.OUTCOME_UNKNOWN)
    ended = rows.filter(history_at__isnull=False).exclude(SAYS_NOTHING)
    if since is not None:
        unknown, ended = unknown.filter(queued_at__gt=since), ended.filter(history_at__gt=since)
    lost = unknown[: figures.breaker_last].count()
    left = ended.order_by("-history_at")[: figures.breaker_last - lost]
    outcomes = list(left.values_list("execution", "undone_by"))
    bad = sum(execution in BAD or undone is not None for execution, undone in outcomes)
    return lost + bad, lost + len(outcomes)


def suspects(figures: Safeguards) -> list[Pair]:
    """Pairs whose breaker should open, or whose probe has ended. Cheap while nothing went wrong."""
    probing = Breaker.objects.filter(state=BreakerState.PROBING, probe_id__isnull=False)
    ended = Action.objects.filter(pk__in=probing.values("probe_id")).filter(
        Q(history_at__isnull=False) | Q(execution=Execution.OUTCOME_UNKNOWN)
    )
    found = {
        Pair(group, ActionType(kind))
        for group, kind, probe in probing.values_list("group_id", "action_type", "probe_id")
        if probe in set(ended.values_list("pk", flat=True))
    }
    return sorted(found | _gone_wrong(figures), key=lambda pair: (*pair.rail.place, pair.type))


def _gone_wrong(figures: Safeguards) -> set[Pair]:
    """Of the last hour: planning looks at all others before it lets anything run."""
    lately = Q(history_at__gt=Now() - LATELY)
    unknown = Action.objects.filter(history_at__isnull=True, execution=Execution.OUTCOME_UNKNOWN)
    failed = Action.objects.filter(lately, execution__in=sorted(BAD))
    undone = Action.objects.filter(lately | Q(history_at__isnull=True), undo_of__isnull=False)
    found = {
        *unknown.filter(AUTOMATIC).values_list("group_id", "type"),
        *failed.filter(AUTOMATIC).values_list("group_id", "type"),
        *undone.values_list("undo_of__group_id", "undo_of__type"),
    } - set(Breaker.objects.live().values_list("group_id", "action_type"))
    pairs = {Pair(group, ActionType(kind)) for group, kind in found}
    return {pair for pair in pairs if tally(pair, figures)[0] >= figures.bad_enough}


def watch(by: Actor) -> int:
    """For housekeeping: people are told of a breaker although nothing more is planned."""
    figures = Safeguards.current()
    pairs = suspects(figures)
    for pair in pairs:
        with fence.decider():
            Rail.hold([pair.rail])
            standing(pair, figures, by=by)
    return len(pairs) + sum(_stop_type(breaker, by=by) for breaker in relapsed())


def to_watch() -> bool:
    return bool(suspects(Safeguards.current()) or relapsed())


def relapsed() -> list[Breaker]:
    """Opened a second time: a person gave the licence back, and the one action that ran went wrong."""
    again = Breaker.objects.filter(state=BreakerState.OPEN, restored_at__isnull=False)
    return [breaker for breaker in again.select_related("group") if not _stopped_since(breaker)]


def _stopped_since(breaker: Breaker) -> bool:
    made = Stop.objects.filter(source=StopSource.SYSTEM, scope=StopScope.TYPE, value=breaker.action_type)
    return made.filter(on_connector=None, pulled_at__gte=breaker.opened_at).exists()


def _stop_type(breaker: Breaker, *, by: Actor) -> int:
    """Also for people: whoever gave the licence back was wrong about why, so another one looks."""
    with fence.decider():
        Stop.pull_by_itself(
            StopKind.STOP,
            StopScope.TYPE,
            breaker.action_type,
            by=by,
            reason=f"{breaker.label} went wrong again as soon as automation was given back.",
            not_by=[f"user:{breaker.restored_by_id}"],
        )
    return 1
