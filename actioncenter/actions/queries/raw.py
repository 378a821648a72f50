"""A row of a list as the database gives it: snapshot columns only, no objects, no joins but one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.fields import SmallIntegerField, TextField
from django.db.models.functions import Cast, Substr

from actioncenter.actions.catalogue import CATALOGUE, Entry
from actioncenter.actions.enums import ActionType, TargetState
from actioncenter.actions.models import Action, ActionTarget, Attempt, Plan
from actioncenter.actions.models.deciding import PREFIX
from actioncenter.web.keyset import as_text
from actioncenter.web.statements import Compiled, rows_of


class RawRow(NamedTuple):
    """Moments are the database's text (see web.keyset); `stamp` makes datetimes of them."""

    branch: int
    id: int
    type: int
    area: int
    source: int
    critical: bool
    simulated: bool
    decision: int
    execution: int
    decided_by_name: str
    requested_by_id: int | None
    created_at: str
    expires_at: str | None
    deferred_until: str | None
    assigned_to_name: str
    history_at: str | None
    finished_at: str | None
    read_back_at: str | None
    ends_at: str | None
    drifted_at: str | None
    verdict: int
    group_id: int | None
    group_name: str
    level: int | None
    device_id: int | None
    mailbox_id: int | None
    target_kind: int
    target_name: str
    on_name: str
    reason_code: str
    code: str
    target_count: int
    succeeded_count: int
    failed_count: int
    revision: int
    undo_of_id: int | None
    undone_by_id: int | None
    undo_execution: int | None
    """State of the action that undoes this one."""
    investigation_id: int | None
    approval_id: Any
    approval_rule: str
    proposers: str
    plan: str | None
    """First letters of the digest of the newest plan, where rows may be approved."""
    next_try: str | None
    """When an unreachable device is tried again, of what is queued for one."""
    done: int | None
    total: int | None

    @property
    def entry(self) -> Entry:
        return CATALOGUE[ActionType(self.type)]

    @property
    def label(self) -> str:
        return f"A-{self.id}"


MOMENTS = frozenset(
    {
        "created_at",
        "expires_at",
        "deferred_until",
        "history_at",
        "finished_at",
        "read_back_at",
        "ends_at",
        "drifted_at",
    }
)
COMPUTED = frozenset({"branch", "done", "total", "undo_execution", "plan", "next_try"})
# Cast, because PostgreSQL takes a bare NULL in a union for text.
NULL = Cast(Value(None), SmallIntegerField())
NO_TEXT = Cast(Value(None), TextField())


def columns(
    rows: QuerySet[Action], *, branch: int = 0, progress: bool = False, plan: bool = False
) -> QuerySet[Any, Any]:
    """The columns of RawRow. Ordering and slicing stay the caller's."""
    computed: dict[str, Any] = {
        "raw_branch": Value(branch, output_field=SmallIntegerField()),
        "raw_undo_execution": F("undone_by__execution"),
        "raw_done": _of_attempt("done") if progress else NULL,
        "raw_total": _of_attempt("total") if progress else NULL,
        "raw_next_try": _next_try() if progress else NO_TEXT,
        "raw_plan": _plan() if plan else NO_TEXT,
    }
    # Under names of their own: an unqualified ORDER BY must never mean the text.
    computed |= {f"raw_{name}": as_text(name) for name in MOMENTS}
    names = [f"raw_{name}" if name in MOMENTS | COMPUTED else name for name in RawRow._fields]
    return rows.annotate(**computed).values_list(*names)


def read(statement: Compiled | None, given: Sequence[Any] = ()) -> list[RawRow]:
    """Rows of joined `columns` in the order of their branches."""
    found = [RawRow._make(values) for values in rows_of(statement, given)]
    found.sort(key=lambda row: row.branch)
    return found


def _of_attempt(column: str) -> Subquery:
    running = Attempt.objects.filter(action=OuterRef("pk"), ended_at__isnull=True).order_by("-id")
    return Subquery(running.values(column)[:1])


def _next_try() -> Subquery:
    """Only of what is queued, so that it costs nothing elsewhere."""
    offline = ActionTarget.objects.filter(
        action=OuterRef("pk"), state=TargetState.QUEUED, error_class="device_offline"
    ).order_by("not_before")
    return Subquery(offline.annotate(at=as_text("not_before")).values("at")[:1])


def _plan() -> Subquery:
    newest = Plan.objects.filter(action=OuterRef("pk"), revision=OuterRef("revision")).order_by("-id")
    return Subquery(newest.values(start=Cast(Substr("digest", 1, PREFIX), TextField()))[:1])


def stamp(text: str | None) -> datetime | None:
    """SQLite's text has no zone and means UTC; PostgreSQL's has the connection's, which is UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
