"""What a list can be narrowed by. Keys are the names of the filter fields, values are cleaned.

`result`, `since`, `after` and `before` mean something else for what is running than for what has ended,
so the pages treat those themselves.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet, Value

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action, ActionEvidence
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
DUE: Final[Mapping[str, timedelta]] = {
    "hour": timedelta(hours=1),
    "shift": timedelta(hours=8),
    "day": timedelta(days=1),
}
"""How soon what waits expires."""
SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
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
    """Everything but `result` and times."""
    for name, value in criteria.items():
        if name in NARROWING:
            rows = rows.filter(NARROWING[name](value))
    return rows


def between(moment: str, criteria: Criteria) -> Q:
    """`moment` is the column that the times of this list mean."""
    wanted = Q()
    if "since" in criteria:
        wanted &= Q(**{f"{moment}__gte": since(criteria["since"])})
    if "after" in criteria:
        wanted &= Q(**{f"{moment}__gte": criteria["after"]})
    if "before" in criteria:
        wanted &= Q(**{f"{moment}__lt": criteria["before"]})
    return wanted


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
    """Names of target (of an email its subject), device and mailbox; a number, an approval id or a hash when it is one."""
    found = Q(target_name__icontains=value) | Q(on_name__icontains=value)
    number = LABELLED.fullmatch(value)
    if number:
        found |= Q(pk=int(number[1]))
    if SHA256.fullmatch(value):
        # Said twice, because the index holds those with a hash only.
        links = ActionEvidence.objects.filter(evidence__sha256=value.lower()).exclude(evidence__sha256="")
        found |= Q(pk__in=links.values("action"))
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
    "due": lambda value: Q(expires_at__lte=Value(Ago(-DUE[value]))),
    "q": _text,
}
