"""One action from evidence to undo, in words, on a page that can be printed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions import words
from actioncenter.actions.blinding import KEPT_BACK, is_blind
from actioncenter.actions.enums import Area, Choice, Decision, TargetState
from actioncenter.actions.lasting import shown_state
from actioncenter.actions.models import Action, Attempt
from actioncenter.actions.pane import sentence_of, title_of
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.rows import iso, shown_target
from actioncenter.actions.timeline import ATTEMPTS, timeline_of
from actioncenter.auditor.stories import Part, Story, story_of
from actioncenter.auditor.views.entering import auditors
from actioncenter.settings.access import within
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel, FolderClass
from actioncenter.web.load import load
from investigations.enums import EvidenceType, Verdict

Line = dict[str, Any]
FOLDERS: Final[Mapping[str, str]] = {
    FolderClass.NO_PATH.name.lower(): "no path",
    FolderClass.CORE.name.lower(): "core folder",
    FolderClass.TEMP.name.lower(): "temporary folder",
    FolderClass.OTHER.name.lower(): "neither core nor temporary",
    FolderClass.UNRESOLVABLE.name.lower(): "a path that can't be trusted",
}
"""As a snapshot names them."""
BLANK: Final[Line] = {
    "icon": "info", "note": "", "kept_back": "", "url": "", "verdict": "", "verdict_label": "", "state": "", "state_label": "",
    "plain": False, "waits": False,
}  # fmt: skip


@require_safe
@auditors
def story(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = load(within(Action.objects.select_related("undo_of"), viewer.scope), number)
    told = story_of(action)
    result = words.result_of(action.decision, action.execution)
    context = {
        "tab": "events",
        "label": f"A-{action.pk}",
        "title": title_of(action),
        "result_code": result or "waiting",
        "result_label": words.RESULTS.get(result, "Waiting"),
        "action_url": reverse("actions:detail", args=[action.pk]),
        "log_url": f"{reverse('auditor:events')}?subject=A-{action.pk}",
        "chapters": [_chapter(title, part, lines) for title, part, lines in _chapters(told, viewer)],
        "unsealed": len(told.unsealed),
        "printed": f"{viewer.now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
    }
    return render(request, "auditor/story.html", context)


def _chapters(told: Story, viewer: Viewer) -> Iterator[tuple[str, Part | None, list[Line]]]:
    blind = is_blind(told.action, viewer)
    yield "Evidence", told.grounds, list(_evidence(told, viewer))
    yield "Verdict", None, list(_verdict(told))
    yield "Policy", None, list(_policy(told.action))
    yield "Plan", told.plans, [_plan(plan, viewer) for plan in told.plans.rows]
    yield "Votes and decision", told.votes, list(_decision(told, viewer, blind=blind))
    yield "Attempts", told.attempts, [_attempt(row, viewer) for row in told.attempts.rows]
    yield "Read back", told.targets, [_read_back(row, viewer) for row in told.targets.rows]
    yield "Undo", None, [_relative(other, told.action, viewer) for other in told.family]
    yield "In the log", told.events, _log(told, viewer, blind=blind)


def _chapter(title: str, part: Part | None, lines: list[Line]) -> dict[str, Any]:
    more = part.total - len(part.rows) if part else 0
    return {"title": title, "lines": lines, "more": more, "none": NONE[title]}


def _line(
    text: str, detail: str = "", *, at: datetime | None = None, viewer: Viewer | None = None, **more: Any
) -> Line:
    """What templates/auditor/_story_line.html uses; empty means that there is none."""
    local = viewer.local(at) if viewer and at else None
    shown = {"at": f"{local:%d %b %Y, %H:%M:%S}" if local else "", "at_iso": iso(at)}
    return {**BLANK, "text": text, "detail": detail, **shown, **more}


def _evidence(told: Story, viewer: Viewer) -> Iterator[Line]:
    for alert in told.alerts.rows:
        yield _line(alert.title, f"Alert from {alert.source}", at=alert.created_at, viewer=viewer)
    for ground in told.grounds.rows:
        item = ground.evidence
        # As it was called then; of many targets in many places each has its own below.
        place = told.action.on_name if told.action.target_count == 1 or item.area == Area.DEVICE else ""
        parts = [
            words.EVIDENCE_KINDS[EvidenceType(item.type)],
            f"on {place}" if place else "",
            item.path,
            f"SHA-256 {item.sha256}" if item.sha256 else "",
            f"found by {item.detection_origin}" if item.detection_origin else "",
        ]
        yield _line(item.name, ", ".join(part for part in parts if part), at=item.created_at, viewer=viewer)


def _verdict(told: Story) -> Iterator[Line]:
    for ground in told.grounds.rows:
        then, now = Verdict(ground.verdict), Verdict(ground.evidence.verdict)
        since = "" if then == now else f"Since changed to {words.VERDICTS[now][1].lower()}."
        code, label = words.VERDICTS[then]
        yield _line(ground.evidence.name, since, verdict=code, verdict_label=label, icon="shield")


def _policy(action: Action) -> Iterator[Line]:
    yield _line(sentence_of(action), icon="shield")
    level = LEVEL_LABELS[AutomationLevel(action.level)] if action.level is not None else ""
    folder = action.policy.get("folder_class")
    facts = {
        "Group": action.group_name,
        "Rank": action.policy.get("rank"),
        "Level": level,
        "Folder": FOLDERS.get(str(folder), folder),
        "Reason code": action.reason_code,
        "Rule": _rule(action.approval_rule),
        "Source": words.SOURCES[action.source],
    }
    for name, value in facts.items():
        if value not in (None, ""):
            yield _line(name, str(value), plain=True)


def _rule(rule: Mapping[str, Any]) -> str:
    said = {True: "yes", False: "no"}
    return ", ".join(
        f"{name.replace('_', ' ')}: {said[value] if isinstance(value, bool) else value}"
        for name, value in sorted(rule.items())
    )


def _plan(plan: Any, viewer: Viewer) -> Line:
    said = [*plan.body.get("changes", []), *plan.body.get("warnings", [])]
    detail = f"Digest {plan.digest}. {'; '.join(map(str, said))}"
    return _line(f"Plan for revision {plan.revision}", detail, at=plan.made_at, viewer=viewer, icon="lock")


def _decision(told: Story, viewer: Viewer, *, blind: bool) -> Iterator[Line]:
    action = told.action
    yield _line(
        f"Proposed by {action.requested_by_name or 'automation'}", action.requested_comment, at=action.created_at,
        viewer=viewer, icon="pending",
    )  # fmt: skip
    for vote in told.votes.rows:
        verb = "to approve" if vote.choice == Choice.APPROVE else "to reject"
        plan = f", having seen plan {vote.plan.digest[:8]}" if vote.plan else ""
        yield _line(
            f"{vote.user_name} voted {verb}", f"Revision {vote.revision}{plan}. {vote.mode}", at=vote.cast_at,
            viewer=viewer, icon="users", note="" if blind else vote.comment, kept_back=KEPT_BACK if blind else "",
        )  # fmt: skip
    if action.decision != Decision.PENDING:
        _, label = words.DECISIONS[Decision(action.decision)]
        by = f" by {action.decided_by_name}" if action.decided_by_name else ""
        yield _line(
            f"{label}{by}", "Break glass: alone, where two are needed." if action.break_glass else "",
            at=action.decided_at, viewer=viewer, icon="check", note=action.decision_comment,
        )  # fmt: skip
    if told.review:
        yield _review(told.review, viewer)


def _review(review: Any, viewer: Viewer) -> Line:
    if review.reviewed_at is None:
        return _line("Not reviewed yet", f"Reason given: {review.reason}", viewer=viewer, icon="warn")
    judged = "justified" if review.justified else "not justified"
    text = f"Reviewed by {review.reviewed_by_name}: {judged}"
    return _line(text, at=review.reviewed_at, viewer=viewer, icon="check", note=review.comment)


def _attempt(attempt: Attempt, viewer: Viewer) -> Line:
    label = next(text for state, (_, text) in ATTEMPTS.items() if state == attempt.state)
    parts = [
        f"{attempt.done} of {attempt.total} targets" if attempt.total else "",
        f"key {attempt.public_id}",
        f"marked as sent {viewer.local(attempt.sent_at):%H:%M:%S}" if attempt.sent_at else "never sent",
        attempt.error or attempt.message,
    ]
    through = f" through {attempt.instance_name}" if attempt.instance_name else ""
    text = f"Attempt {attempt.number}{through}: {label.lower()}"
    detail = ", ".join(part for part in parts if part)
    return _line(text, detail, at=attempt.started_at, viewer=viewer, icon="s-run")


def _read_back(target: Any, viewer: Viewer) -> Line:
    code, label = words.TARGET_STATES[TargetState(target.state)]
    name = shown_target(target.kind, target.name)
    place = f" on {target.on_name}" if target.on_name else ""
    read = shown_state(target.after) or ("" if target.read_back_at else "not read back")
    drift = f"; now shows {shown_state(target.drift)}" if target.drifted_at else ""
    return _line(
        f"{name}{place}", f"{read}{drift} {target.error}".strip(), at=target.read_back_at, viewer=viewer,
        state=code, state_label=label,
    )  # fmt: skip


def _relative(other: Action, action: Action, viewer: Viewer) -> Line:
    verb = "Takes back" if action.undo_of_id == other.pk else "Taken back by"
    result = words.result_of(other.decision, other.execution)
    return _line(
        f"{verb} A-{other.pk}", title_of(other), at=other.created_at, viewer=viewer, state=result or "waiting",
        state_label=words.RESULTS.get(result, "Waiting"), url=reverse("auditor:story", args=[other.pk]),
    )  # fmt: skip


def _log(told: Story, viewer: Viewer, *, blind: bool) -> list[Line]:
    shown = timeline_of(told.events.rows, viewer, blind=blind)
    return [
        _line(
            f"{line['text']} {line['detail']}".strip(),
            f"Number {event.seq}, by {event.actor_name}",
            at=event.at,
            viewer=viewer,
            icon=line["icon"],
            note=line["note"],
            kept_back=line["kept_back"],
            url=reverse("auditor:event", args=[event.pk]),
            waits=event.pk in told.unsealed,
        )
        for event, line in zip(told.events.rows, shown, strict=True)
    ]


NONE: Final[Mapping[str, str]] = {
    "Evidence": "No evidence is linked: a person asked for it, or it takes something back.",
    "Verdict": "Without evidence there is no verdict.",
    "Policy": "",
    "Plan": "No plan was read before it was decided.",
    "Votes and decision": "",
    "Attempts": "Nothing was sent.",
    "Read back": "It has no targets.",
    "Undo": "It was not taken back.",
    "In the log": "The log tells nothing of it.",
}
"""What a chapter without lines says."""
