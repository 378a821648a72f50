"""Ends of a pending action that nobody decided: expiry and withdrawal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from actioncenter.actions.enums import Decision
from actioncenter.actions.models.following import follow_decisions
from actioncenter.actions.models.judging import locked_rows
from actioncenter.actions.models.writing import EVIDENCE_AFTER
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action


def expire_due(model: "type[Action]", *, by: Actor, limit: int) -> int:
    with transaction.atomic():
        due = model.objects.past_expiry().order_by("pk")
        if connection.features.has_select_for_update:
            due = due.select_for_update(no_key=True, skip_locked=True)
        rows = list(due[:limit])
        return _close(model, rows, Decision.EXPIRED, "expired_undecided", by=by, event=Kind.ACTION_EXPIRED)


def withdraw(model: "type[Action]", ids: Sequence[int], code: str, *, by: Actor) -> int:
    with transaction.atomic():
        rows = locked_rows(model, ids, by=by)
        rows = [row for row in rows if row.decision == Decision.PENDING]
        return _close(model, rows, Decision.WITHDRAWN, code, by=by, event=Kind.ACTION_WITHDRAWN)


def _close(
    model: "type[Action]",
    rows: "Sequence[Action]",
    decision: Decision,
    code: str,
    *,
    by: Actor,
    event: Kind,
) -> int:
    name = "" if decision == Decision.EXPIRED else by.name
    changed = model.objects.filter(Q(pk__in=[row.pk for row in rows]), decision=Decision.PENDING).update(
        decision=decision, decided_at=Now(), decided_by_name=name, decided_by_id=by.user_id, code=code,
        history_at=Now(), finished_at=Now(), updated_at=Now(),
    )  # fmt: skip
    log.record_many(
        [
            row.draft(
                event,
                by=by,
                before={"decision": "PENDING"},
                after={"decision": decision.name},
                detail={"code": code},
            )
            for row in rows
        ]
    )
    follow_decisions(rows, EVIDENCE_AFTER[decision])
    return changed
