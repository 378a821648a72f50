"""What went wrong with an action or keeps it waiting, in sentences for its pane."""

from actioncenter.actions import reasons
from actioncenter.actions.abilities import needs_a_look
from actioncenter.actions.enums import ENDS, RUNNING, Decision, Execution
from actioncenter.actions.lasting import drift_note, waiting_note
from actioncenter.actions.models import Action, Plan
from actioncenter.actions.queries import Viewer
from actioncenter.actions.queries.connectors import concerned, told
from actioncenter.actions.queries.details import Details
from actioncenter.actions.spreading import spread


def notes_of(details: Details, viewer: Viewer) -> list[dict[str, str]]:
    """What went wrong or is still open, the gravest first."""
    action = details.action
    waits = told(concerned(action), viewer.when, viewer.now).get(action.pk, [])
    notes = [
        ("odd", _why_look(details, viewer)),
        ("stop", _why_not_done(action)),
        *(("warn", obstacle.sentence) for obstacle in waits),
        ("warn", _cancel_asked(action)),
        ("", spread(action, details.targets)),
        ("", _why_closed(action, viewer) or _set_aside(action, viewer) or waiting_note(details, viewer)),
    ]
    return [{"tone": tone, "text": text} for tone, text in notes if text]


def since_of(plan: Plan) -> str:
    """How it differs from what was proposed: `+37 new, 4 gone`."""
    found = plan.body.get("since") or {}
    told = [f"+{found['new']:,} new"] if found.get("new") else []
    return ", ".join([*told, *([f"{found['gone']:,} gone"] if found.get("gone") else [])])


def _cancel_asked(action: Action) -> str:
    asked = action.cancel_requested_at and action.execution in RUNNING
    return f"{action.cancel_requested_by_name} asked to cancel this." if asked else ""


def _why_look(details: Details, viewer: Viewer) -> str:
    look = needs_a_look(details)
    return drift_note(details, viewer) or (reasons.render(look) if look else "")


def _why_not_done(action: Action) -> str:
    if not action.code or action.execution not in ENDS or action.execution == Execution.SUCCEEDED:
        return ""
    if action.status_detail:
        return action.status_detail
    return reasons.render(
        action.code,
        {
            "by": action.cancel_requested_by_name,
            "device": action.on_name,
            "group": action.group_name,
            "done": action.succeeded_count,
            "total": action.target_count,
        },
    )


def _why_closed(action: Action, viewer: Viewer) -> str:
    """Of what nobody decided."""
    overdue = action.decision == Decision.PENDING and action.expires_at and action.expires_at <= viewer.now
    if action.decision == Decision.EXPIRED or overdue:
        return reasons.render("expired_undecided", {"days": action.approval_rule.get("expiry_days", 7)})
    if action.decision == Decision.WITHDRAWN and action.code:
        return reasons.render(action.code, {"device": action.on_name, "by": action.decided_by_name})
    return ""


def _set_aside(action: Action, viewer: Viewer) -> str:
    """Of what waits: until when it was put off, and with whom it is."""
    if action.decision != Decision.PENDING:
        return ""
    until = action.deferred_until
    told = f"Put off until {viewer.when(until)}. " if until and until > viewer.now else ""
    if not action.assigned_to_name:
        return told.strip()
    since = f" since {viewer.when(action.assigned_at)}" if action.assigned_at else ""
    return f"{told}With {action.assigned_to_name}{since}."
