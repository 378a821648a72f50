"""What an investigation asked for and what became of it: actions and the log."""

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet
from django.urls import reverse

from actioncenter.actions.models import Action
from actioncenter.actions.queries.raw import columns, read
from actioncenter.actions.rows import rows_of
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.models import Event
from actioncenter.settings.access import within
from actioncenter.settings.enums import Role
from actioncenter.web.keyset import compiled
from actioncenter.web.moments import iso, when
from investigations import words
from investigations.enums import InvestigationState
from investigations.views.tables import LIMIT, Part, Table

DECIDERS: Final = frozenset({Role.RESPONDER, Role.EMAIL_RESPONDER, Role.ADMIN})
LOG_LIMIT: Final = 200

EVENTS: Final[Mapping[str, tuple[str, str]]] = {
    Kind.INVESTIGATION_OPENED: ("invest", "Investigation opened"),
    Kind.INVESTIGATION_CHANGED: ("info", "State changed"),
    Kind.INVESTIGATION_COMPLETED: ("s-ok", "Investigation ended"),
    Kind.INVESTIGATION_STOPPED: ("x", "Investigation stopped"),
    Kind.INGEST_RECEIVED: ("alert", "Alert received"),
    Kind.INGEST_CLEANED: ("warn", "Text from outside was cleaned"),
    Kind.EVIDENCE_ADDED: ("file", "Evidence added"),
    Kind.EVIDENCE_CHANGED: ("file", "Evidence changed"),
    Kind.VERDICT_SET: ("shield", "Verdict set"),
    Kind.ACTION_PROPOSED: ("pending", "Proposed"),
    Kind.ACTION_APPROVED: ("check", "Approved"),
    Kind.ACTION_REJECTED: ("s-rej", "Rejected"),
    Kind.ACTION_EXPIRED: ("s-exp", "Expired undecided"),
    Kind.ACTION_WITHDRAWN: ("s-rej", "Withdrawn"),
    Kind.ACTION_STARTED: ("s-run", "Started"),
    Kind.ACTION_SUCCEEDED: ("s-ok", "Succeeded"),
    Kind.ACTION_PARTLY_SUCCEEDED: ("s-part", "Partly succeeded"),
    Kind.ACTION_FAILED: ("s-fail", "Failed"),
    Kind.ACTION_TIMED_OUT: ("s-exp", "Timed out"),
    Kind.ACTION_UNKNOWN: ("s-odd", "Outcome unknown"),
    Kind.ACTION_CANCELLED: ("s-rej", "Cancelled"),
    Kind.ACTION_UNDONE: ("undo", "Undone"),
    Kind.PLAN_MADE: ("readback", "Plan read"),
}
"""Icon and text; what isn't here is named by its kind."""


def counts(part: Part) -> dict[str, int]:
    return {
        "pending": _pending(part).count(),
        "history": _history(part).count(),
        "log": len(_events(part).values("pk")[:1]),
    }


def pending(part: Part) -> Table:
    return _rows(part, _pending(part).order_by("expires_at", "pk"), "actions:pending")


def history(part: Part) -> Table:
    return _rows(part, _history(part).order_by("-updated_at", "-pk"), "actions:history")


def actions_of(part: Part) -> QuerySet[Action]:
    return _seen(part, Action.objects.all())


def _pending(part: Part) -> QuerySet[Action]:
    return _seen(part, Action.objects.pending())


def _history(part: Part) -> QuerySet[Action]:
    """What the tab History shows: the ended, and what runs or expired but isn't written so yet."""
    every = Action.objects
    return _seen(part, every.ended() | every.running() | every.past_expiry())


def _seen(part: Part, rows: QuerySet[Action]) -> QuerySet[Action]:
    return within(rows.filter(investigation=part.investigation), part.viewer.scope)


def _rows(part: Part, found: QuerySet[Action], name: str) -> Table:
    base = f"{reverse(name)}?investigation={part.investigation.pk}&open="
    raws = read(compiled(columns(found, progress=True)[:LIMIT]))
    rows = rows_of(raws, part.viewer, lambda number: f"{base}{number}", history=True)
    return [
        {
            **row,
            "result_code": row["result_code"] or "waiting",
            "result_label": row["result_label"] or "Waiting",
        }
        for row in rows
    ]


def log_of(part: Part) -> Table:
    """Newest first."""
    return [_entry(event, part) for event in _events(part).order_by("-id")[:LOG_LIMIT]]


def _events(part: Part) -> QuerySet[Event]:
    numbers = actions_of(part).order_by("-pk").values_list("pk", flat=True)[:LOG_LIMIT]
    streams = [f"investigation:{part.investigation.pk}", *(f"action:{number}" for number in numbers)]
    return Event.objects.filter(stream__in=streams)


def _entry(event: Event, part: Part) -> dict[str, Any]:
    icon, text = EVENTS.get(event.kind, ("info", event.kind.replace(".", " ").replace("_", " ").capitalize()))
    after = event.after or {}
    if event.stream.startswith("action:"):
        text = f"A-{event.stream.removeprefix('action:')} {text.lower()}: {event.subject_name}"
    elif after.get("state") in InvestigationState.__members__:
        state = InvestigationState[after["state"]]
        text = f"{text}: {words.STATES[state][1]}"
    return {
        "at": when(event.at, part.viewer.now),
        "at_iso": iso(event.at),
        "text": text,
        "who": "" if event.actor_via == Via.SYSTEM else event.actor_name,
        "icon": icon,
    }
