"""One action as its pane and its page show it: ready text, bounded, no logic left."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from django.urls import reverse

from actioncenter.actions import instances, reasons, reversing, words
from actioncenter.actions.abilities import comments_required, judge
from actioncenter.actions.bringing import files_of
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import (
    RUNNING,
    ActionType,
    Area,
    Decision,
    Execution,
    Risk,
    TargetKind,
    TargetState,
)
from actioncenter.actions.lasting import shown_state, timer_of
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.noting import notes_of, since_of
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import Viewer
from actioncenter.actions.queries.details import Details
from actioncenter.actions.queries.mailboxes import numbers_of
from actioncenter.actions.rows import iso, rows_of, shown_target
from actioncenter.actions.spreading import spreads
from actioncenter.actions.timeline import attempts_of, comments_of, timeline_of
from actioncenter.audit import sealing
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel
from actioncenter.web.text import age_of
from investigations.enums import EvidenceType, Verdict

FACTS: Final[Mapping[str, tuple[str, bool]]] = {
    "path": ("Path", True),
    "sha256": ("SHA-256", True),
    "sha1": ("SHA-1", True),
    "command_line": ("Command line", True),
    "pid": ("Process id", True),
    "hive": ("Hive", True),
    "key": ("Key", True),
    "value_name": ("Value", True),
    "url": ("URL", True),
    "sender": ("Sender", False),
    "recipient": ("Recipient", False),
    "subject": ("Subject", False),
    "folder": ("Folder", False),
    "cluster_by": ("Grouped by", False),
    "email_count": ("Messages when found", False),
    "delegate": ("Delegate", False),
    "rule_name": ("Rule", False),
}
"""Label and whether it is set in the monospaced face."""
PAST: Final = (("Waiting ", "Waited "), ("Runs ", "Ran "))
"""How a reason begins while it holds, and afterwards."""
HIT: Final = (
    ("mailboxes", "mailboxes", ""),
    ("vips", "critical mailboxes", "mal"),
    ("internal_senders", "internal senders", ""),
)
SHOWN_VALUES: Final = 3
ASKED: Final = {"seen": "take note", "again": "propose again"}
"""Verbs that read otherwise than they stand in addresses."""


def pane_of(
    details: Details,
    viewer: Viewer,
    *,
    url: Callable[[int], str],
    tag: str,
    around: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What templates/actions/_pane.html calls `action`.

    `url` opens other actions the same way; `around` is the list beside it (close_url, prev_url,
    next_url, position), absent on a page of its own.
    """
    action = details.action
    history = action.history_at is not None
    (row,) = rows_of([details.raw], viewer, url, history=history)
    judged = judge(details, viewer)
    around = around or {"prev_url": "", "next_url": "", "close_url": "", "position": ""}
    return {
        **row,
        **around,
        **_heading(details, viewer, url),
        **_decisions(details, viewer),
        **_touched(details, viewer),
        **_instances(details, viewer, may_undo=judged.can["undo"]),
        **_record(details, viewer),
        "files": files_of(details, viewer),
        **timer_of(action, viewer),
        "can": judged.can,
        "why_not": judged.why_not,
        "votes": judged.votes,
        "glass": judged.glass,
        "typed": judged.typed,
        "plan_seen": details.plan.digest if details.plan else "",
        "can_edit": judged.can_edit,
        "notes": notes_of(details, viewer),
        "comment_required_for": comments_required(action),
        "comment_hint": _comment_hint(action, judged.can),
        "idempotency_key": uuid4().hex,
        "timeline": timeline_of(details.events, viewer, blind=judged.blind),
        "unsealed": len(sealing.waiting([f"action:{action.pk}"])),
        "attempts": attempts_of(details.attempts, viewer),
        "similar": [_similar(other, viewer, url) for other in details.similar],
        **_shift(details, viewer, waits=bool(row["expires"]), may_approve=judged.can["approve"]),
        "live": bool(row["expires"] or row["left"])
        or action.execution in RUNNING
        or spreads(action, details.targets)
        or (action.undone_by is not None and action.undone_by.execution in RUNNING),
        "ptag": tag,
    }


def _shift(details: Details, viewer: Viewer, *, waits: bool, may_approve: bool) -> dict[str, Any]:
    """Who is on it, and what people say about it."""
    action = details.action
    may_say = not viewer.rights.refusal(Verb.PROPOSE, action)
    return {
        "can_take": waits and not action.assigned_to_name and may_approve,
        "holder": action.assigned_to_id or 0,
        "can_give_back": waits and bool(action.assigned_to_name) and may_say,
        "can_assign": waits and may_say,
        "can_comment": may_say,
        "can_look_again": waits and may_say and action.target_kind == TargetKind.CLUSTER,
        "comments": comments_of(details.comments, viewer),
    }


def title_of(action: Action) -> str:
    """E.g. "Quarantine file svchost.exe on fin-db-02"."""
    target, place = shown_target(action.target_kind, action.target_name), action.on_name
    if action.entry.kind == TargetKind.DEVICE and place:
        return f"{action.entry.short} {place}"
    is_device = words.PLACE_ICONS.get(TargetKind(action.target_kind), "device") == "device"
    where = f" on {place}" if place and is_device else f", {place}" if place else ""
    return f"{action.entry.short} {target}{where}"


def sentence_of(action: Action) -> str:
    """Why it waits, ran or was taken back."""
    if not action.reason_code:
        return action.requested_comment
    params = {"by": action.requested_by_name, "group": action.group_name, "device": action.on_name}
    params |= action.policy.get("params", {})
    if action.undo_of is not None:
        params["action"] = action.undo_of.entry.code
    text = reasons.render(action.reason_code, params)
    for now, then in () if action.decision == Decision.PENDING else PAST:
        text = f"{then}{text.removeprefix(now)}" if text.startswith(now) else text
    return text


def _heading(details: Details, viewer: Viewer, url: Callable[[int], str]) -> dict[str, Any]:
    action = details.action
    return {
        "title": title_of(action),
        "sentence": sentence_of(action),
        "reversibility": reversing.reversibility(action),
        **_answer(action, viewer),
        "proposed": f"Proposed {viewer.when(action.created_at)}",
        "undo_of": reversing.link(action.undo_of_id, url),
        "undone_by": reversing.undone_by(action, url),
        "undo_button": reversing.undo_button(action),
        "breadcrumb": {
            "label": "History" if action.history_at else "Pending",
            "url": reverse("actions:history" if action.history_at else "actions:pending"),
        },
    }


def _answer(action: Action, viewer: Viewer) -> dict[str, str]:
    """The other clock: when somebody should have decided, while it waits."""
    due = action.answer_by
    if action.decision != Decision.PENDING or due is None:
        return {"answer": "", "answer_iso": "", "answer_text": ""}
    text = "Answer due in" if due > viewer.now else "Answer overdue by"
    shown = age_of(viewer.now, due) if due > viewer.now else age_of(due, viewer.now)
    return {"answer": shown, "answer_iso": iso(due), "answer_text": text}


def _decisions(details: Details, viewer: Viewer) -> dict[str, Any]:
    action = details.action
    if action.decision == Decision.PENDING or action.decided_at is None:
        return {"decision": None}
    code, label = words.DECISIONS[Decision(action.decision)]
    if action.decision == Decision.NOT_REQUIRED and not action.automatic:
        label = "Taken directly"
    return {
        "decision": {
            "label": label,
            "code": code,
            "by": action.decided_by_name or "Nobody",
            "at": viewer.when(action.decided_at),
            "at_iso": iso(action.decided_at),
            "comment": action.decision_comment,
        }
    }


def _touched(details: Details, viewer: Viewer) -> dict[str, Any]:
    """Targets, figures, facts and evidence."""
    action, shown = details.action, details.targets
    started = action.execution != Execution.NONE or len(shown) > 1
    total = sum(details.target_states.values())
    return {
        "targets": target_rows(shown, viewer, simulated=action.simulated) if started else [],
        "targets_total": total if started and total > 1 else 0,
        "targets_url": reverse("actions:targets", args=[action.pk]),
        "targets_summary": _summary(details.target_states) if len(details.target_states) > 1 else [],
        "facts": _facts(details),
        "blast": _blast(details),
        "evidence": [_evidence(item) for item in details.evidence],
        "evidence_total": details.evidence_total,
    }


def _instances(details: Details, viewer: Viewer, *, may_undo: bool) -> dict[str, Any]:
    """The page of the file, and how many more quarantines of it an undo takes back that is applied to them too.

    Who may not undo is told on how many more devices it is held: releasing it there can be proposed.
    """
    sha256 = instances.file_of(details.action, details.targets)
    if not sha256:
        return {"file_url": "", "more_instances": 0, "more_url": ""}
    if may_undo:
        more = instances.undoable_beside(details.action, sha256, viewer.scope).count()
    else:
        more = instances.more_than(details.targets[0], viewer.scope) if details.in_force else 0
    return {
        "file_url": reverse("investigations:file", args=[sha256]),
        "more_instances": more,
        "more_url": reverse("investigations:act_on_file", args=[sha256, "release_file"]) + "?all=on",
    }


def _record(details: Details, viewer: Viewer) -> dict[str, Any]:
    action = details.action
    connectors = list(dict.fromkeys(t.instance_name for t in details.targets if t.instance_name))
    return {
        "plan": _plan(details, viewer),
        "approval_id": str(action.approval_id or ""),
        "entity_type_label": words.ENTITIES[TargetKind(action.target_kind)],
        "investigation_label": f"INV-{action.investigation_id}" if action.investigation_id else "",
        "investigation_url": reverse("investigations:detail", args=[action.investigation_id])
        if action.investigation_id
        else "",
        "connector_label": ", ".join(connectors[:SHOWN_VALUES]),
        "device_label": action.on_name if action.area == Area.DEVICE else "",
        "device_url": reverse("investigations:device", args=[action.device_id]) if action.device_id else "",
        **_mail(details, viewer),
    }


def _mail(details: Details, viewer: Viewer) -> dict[str, str]:
    """Pages of the mailbox and the message, where it is about one."""
    action, only = details.action, details.targets[0] if len(details.targets) == 1 else None
    boxes = numbers_of([action.on_name], viewer.scope) if action.area == Area.EMAIL else {}
    number = action.mailbox_id or boxes.get(action.on_name)
    return {
        "mailbox_label": action.on_name if number else "",
        "mailbox_url": reverse("investigations:mailbox", args=[number]) if number else "",
        "message_url": _message_url(only) if only else "",
    }


def _message_url(target: ActionTarget) -> str:
    return reverse("investigations:message", args=[target.message_key]) if target.message_key else ""


def _plan(details: Details, viewer: Viewer) -> dict[str, Any] | None:
    plan = details.plan
    if plan is None:
        return None
    return {
        "made": viewer.when(plan.made_at),
        "made_iso": iso(plan.made_at),
        "age": f"{age_of(plan.made_at, viewer.now)} ago",
        "digest": plan.digest[:8],
        "warnings": [str(text) for text in plan.body.get("warnings", [])][:5],
        "stale": plan.expires_at <= viewer.now,
        "new": plan.new_copies,
        "since": since_of(plan),
    }


def target_rows(targets: Sequence[ActionTarget], viewer: Viewer, *, simulated: bool) -> list[dict[str, Any]]:
    boxes = numbers_of((target.on_name for target in targets if not target.device_id), viewer.scope)
    return [target_row(target, boxes.get(target.on_name), simulated=simulated) for target in targets]


def target_row(target: ActionTarget, mailbox: int | None, *, simulated: bool) -> dict[str, Any]:
    """One target in a table of them."""
    code, label = words.TARGET_STATES[TargetState(target.state)]
    return {
        "name": shown_target(target.kind, target.name),
        "on": target.on_name,
        "url": _message_url(target),
        "on_url": reverse("investigations:mailbox", args=[mailbox]) if mailbox else "",
        "state_code": code,
        "state_label": label,
        "before": "",
        "after": shown_state(target.after),
        "error": target.error,
        "simulated": simulated,
    }


def _summary(states: Mapping[TargetState, int]) -> list[dict[str, str]]:
    return [
        {"figure": f"{states[state]:,}", "label": label, "code": code}
        for state, (code, label) in words.TARGET_STATES.items()
        if states.get(state)
    ]


def _facts(details: Details) -> list[dict[str, Any]]:
    action = details.action
    first = details.targets[0].facts if details.targets else {}
    facts = [
        {"label": label, "value": str(first[name]), "mono": mono}
        for name, (label, mono) in FACTS.items()
        if isinstance(first.get(name), str | int) and first[name] != ""
    ]
    if action.group_name:
        level = LEVEL_LABELS[AutomationLevel(action.level)] if action.level is not None else ""
        facts.append(
            {"label": "Group", "value": f"{action.group_name}{f', {level}' if level else ''}", "mono": False}
        )
    for name, value in action.parameters.items():
        if value not in (None, "", 0):
            facts.append({"label": name.replace("_", " ").capitalize(), "value": str(value), "mono": False})
    if details.plan:
        changes = [str(text) for text in details.plan.body.get("changes", [])]
        facts += [{"label": "Changes", "value": text, "mono": False} for text in changes[:SHOWN_VALUES]]
    return facts


def _blast(details: Details) -> list[dict[str, str]]:
    action = details.action
    figures = [
        {
            "figure": f"{action.target_count:,}",
            "label": "target" if action.target_count == 1 else "targets",
            "tone": "",
        }
    ]
    if action.critical:
        figures.append({"figure": "Critical", "label": "asset", "tone": "mal"})
    mail = details.plan.body.get("mail") or {} if details.plan else {}
    figures += [
        {"figure": f"{mail[name]:,}", "label": label, "tone": tone}
        for name, label, tone in HIT
        if mail.get(name)
    ]
    affected = len(details.plan.body.get("affected", [])) if details.plan and not mail else 0
    if affected:
        figures.append({"figure": f"{affected:,}", "label": "also affected", "tone": ""})
    figures.append({"figure": words.RISKS[Risk(action.risk)], "label": "risk", "tone": ""})
    return figures


def _evidence(item: Any) -> dict[str, Any]:
    code, label = words.VERDICTS[Verdict(item.verdict)]
    return {
        "verdict": code,
        "verdict_label": label,
        "kind_label": words.EVIDENCE_KINDS[EvidenceType(item.type)],
        "name": item.name,
        "hash_short": f"{item.sha256[:8]}…{item.sha256[-4:]}" if item.sha256 else "",
        "origin": item.detection_origin,
        "altered": item.altered,
    }


def _similar(raw: Any, viewer: Viewer, url: Callable[[int], str]) -> dict[str, str]:
    entry = CATALOGUE[ActionType(raw.type)]
    on_device = entry.kind == TargetKind.DEVICE and raw.on_name
    target = raw.on_name if on_device else shown_target(raw.target_kind, raw.target_name)
    return {"label": raw.label, "url": url(raw.id), "text": f"{entry.short} {target}"}


def _comment_hint(action: Action, can: Mapping[str, bool]) -> str:
    if can["happened"]:
        return "What you saw, required"
    required = [verb for verb in comments_required(action) if can.get(verb)]
    asked = [ASKED.get(verb, verb) for verb in required]
    return f"Comment, required to {' or '.join(asked)}" if asked else "Comment"
