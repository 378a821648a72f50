"""What a list can be narrowed by. Keys are the names of the filter fields, values are cleaned.

`result` and `since` mean something else for what is running than for what has ended, so the pages
treat those two themselves.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet, Value

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.web.statements import Ago

Criteria = Mapping[str, Any]
AUTOMATION: Final = "automation"
NOBODY: Final = "nobody"
PERIODS: Final[Mapping[str, timedelta]] = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "half": timedelta(days=183),
}
LABELLED = re.compile(r"A-?([0-9]{1,18})", re.IGNORECASE)
UNDONE = (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED)

ENDED_RESULTS: Final[Mapping[str, Q]] = {
    "succeeded": Q(execution=Execution.SUCCEEDED),
    "partly_succeeded": Q(execution=Execution.PARTLY_SUCCEEDED),
    "failed": Q(execution=Execution.FAILED),
    "timed_out": Q(execution=Execution.TIMED_OUT),
    "cancelled": Q(execution=Execution.CANCELLED),
    "rejected": Q(decision=Decision.REJECTED),
    "expired": Q(decision=Decision.EXPIRED),
    "withdrawn": Q(decision=Decision.WITHDRAWN),
    "undone": Q(undone_by__execution__in=UNDONE),
}
LIVE_RESULTS: Final[Mapping[str, Q]] = {
    "running": Q(execution=Execution.IN_PROGRESS),
    "queued": Q(execution=Execution.QUEUED),
    "outcome_unknown": Q(execution=Execution.OUTCOME_UNKNOWN),
}


def narrow(rows: QuerySet[Action], criteria: Criteria) -> QuerySet[Action]:
    """Everything but `result` and `since`."""
    for name, value in criteria.items():
        if name in NARROWING:
            rows = rows.filter(NARROWING[name](value))
    return rows


def since(value: str) -> Any:
    """The moment at which a rolling period began, known when the statement runs."""
    return Value(Ago(PERIODS[value]))


def _decided_by(value: str | int) -> Q:
    if value == AUTOMATION:
        return Q(decided_by__isnull=True, decision=Decision.NOT_REQUIRED, requested_by__isnull=True)
    if value == NOBODY:
        return Q(decided_by__isnull=True, decision=Decision.EXPIRED)
    return Q(decided_by=value)


def _text(value: str) -> Q:
    """Names of target, device and mailbox; a number of an action or an approval id when it is one."""
    found = Q(target_name__icontains=value) | Q(on_name__icontains=value)
    number = LABELLED.fullmatch(value)
    if number:
        found |= Q(pk=int(number[1]))
    with suppress(ValueError):
        found |= Q(approval_id=UUID(value))
    return found


def _equals(column: str) -> Callable[[Any], Q]:
    return lambda value: Q(**{column: value})


NARROWING: Final[Mapping[str, Callable[[Any], Q]]] = {
    "type": _equals("type"),
    "entity": _equals("target_kind"),
    "verdict": _equals("verdict"),
    "source": _equals("source"),
    "group": _equals("group"),
    "investigation": _equals("investigation"),
    "device": _equals("device"),
    "mailbox": _equals("mailbox"),
    "approval": _equals("approval_id"),
    "assigned": _equals("assigned_to"),
    "by": _decided_by,
    "q": _text,
}
