"""What became of everything that was acknowledged, once the installation has had time to finish."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from django.db import connection

from actioncenter.actions.enums import ALLOWED, Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.bench.chaos.intakes import name_of
from actioncenter.bench.chaos.load import Load
from actioncenter.connectors.simulator.estate import Estate

PATIENCE: Final = 180.0
"""Seconds: two leases and a little."""


def wait_until_done() -> float:
    """Seconds until nothing was left to do; after `PATIENCE` what is left counts as lost."""
    connection.close()  # from before the database was restarted
    began = time.monotonic()
    unfinished = Action.objects.filter(decision__in=sorted(ALLOWED), history_at__isnull=True)
    while unfinished.exists() and time.monotonic() - began < PATIENCE:
        time.sleep(0.5)
    return time.monotonic() - began


def lost(load: Load, effects: Mapping[str, int]) -> list[str]:
    """Reports without an action, decisions without a trace, allowed actions without their effect."""
    rows = dict(Action.objects.values_list("pk", "decision"))
    proposed = Counter(Action.objects.values_list("target_name", flat=True))
    return [
        *(f"report {number} has no action" for number in load.reported if not proposed[name_of(number)]),
        *(f"A-{pk} is not {told.name}" for pk, told in load.decided.items() if rows.get(pk) != told),
        *_without_effect(effects),
    ]


def _without_effect(effects: Mapping[str, int]) -> Iterator[str]:
    allowed = Action.objects.filter(decision__in=sorted(ALLOWED)).values_list("pk", "execution", "targets")
    for pk, execution, target in allowed:
        if execution != Execution.SUCCEEDED:
            yield f"A-{pk} ended as {Execution(execution).name}"
        elif str(target) not in effects:
            yield f"A-{pk} is said to have succeeded without an effect"


def doubled(effects: Mapping[str, int]) -> list[str]:
    """Acted on more than once, or without anybody's leave, or proposed twice for one report."""
    proposed = Counter(Action.objects.filter(undo_of__isnull=True).values_list("target_name", flat=True))
    allowed = Action.objects.filter(decision__in=[*sorted(ALLOWED)]).values_list("targets", flat=True)
    may = {str(target) for target in allowed}
    return [
        *(f"target {key} was acted on {count} times" for key, count in effects.items() if count > 1),
        *(f"target {key} was acted on, but nobody allowed it" for key in effects if key not in may),
        *(f"{name} has {count} actions" for name, count in proposed.items() if count > 1),
    ]


def effects_of(estate: Estate) -> Counter[str]:
    """How often each target was really acted on, over all requests."""
    found: Counter[str] = Counter()
    for (_, key), count in estate.effects().items():
        found[key] += count
    return found


def standing() -> Mapping[str, int]:
    """How many actions stand how, for the report."""
    named = Counter(Decision(each).name for each in Action.objects.values_list("decision", flat=True))
    return dict(named)
