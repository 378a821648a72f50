"""Everything the pane shows of one action, each part bounded however large the action is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Q

from actioncenter.actions.enums import TargetKind, TargetState
from actioncenter.actions.models import (
    Action,
    ActionEvidence,
    ActionTarget,
    Artefact,
    Attempt,
    Plan,
    Surprise,
    Vote,
)
from actioncenter.actions.queries.raw import RawRow, columns, read
from actioncenter.actions.queries.targets import worst_first
from actioncenter.actions.queries.viewer import Viewer
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.access import within
from actioncenter.web.keyset import compiled
from investigations.models import Evidence

TARGETS_SHOWN: Final = 20
EVIDENCE_SHOWN: Final = 12
EVENTS_SHOWN: Final = 40
ATTEMPTS_SHOWN: Final = 10
SIMILAR_SHOWN: Final = 5
FILES_SHOWN: Final = 50
COMMENTS_SHOWN: Final = 50
PLAN_PARTS: Final = {
    "targets": "targets",
    "affected": "also affected",
    "changes": "changes",
    "warnings": "warnings",
}


@dataclass(frozen=True, slots=True)
class Details:
    """`targets` are the worst first; `events` the newest, in the order they happened."""

    action: Action
    raw: RawRow
    targets: Sequence[ActionTarget]
    target_states: dict[TargetState, int]
    in_force: int
    drifted: int
    """How many of those in force show something else than what was done."""
    unrouted: bool
    evidence: Sequence[Evidence]
    evidence_total: int
    plan: Plan | None
    votes: Sequence[Vote]
    events: Sequence[Event]
    attempts: Sequence[Attempt]
    similar: Sequence[RawRow]
    surprises: Sequence[Surprise]
    files: Sequence[Artefact]
    comments: Sequence[Event]
    """The newest, in the order they were made."""


def details(action: Action, viewer: Viewer) -> Details:
    """`action` was loaded among what the viewer may see."""
    (raw,) = read(compiled(columns(Action.objects.filter(pk=action.pk), progress=True)))
    evidence = within(Evidence.objects.filter(links__action=action), viewer.scope)
    events = Event.objects.filter(stream=f"action:{action.pk}").order_by("-seq")[:EVENTS_SHOWN]
    said = Event.objects.filter(stream=f"action:{action.pk}", kind=Kind.ACTION_COMMENTED).order_by("-seq")
    counted = list(
        action.targets.order_by()
        .values_list("state")
        .annotate(
            number=Count("pk"),
            holding=Count("pk", filter=Q(in_force=True)),
            drifted=Count("pk", filter=Q(in_force=True, drifted_at__isnull=False)),
        )
    )
    return Details(
        action=action,
        raw=raw,
        targets=list(worst_first(action.targets.all())[:TARGETS_SHOWN]),
        target_states={TargetState(state): number for state, number, *_ in counted},
        in_force=sum(holding for *_, holding, _ in counted),
        drifted=sum(drifted for *_, drifted in counted),
        unrouted=action.targets.filter(instance__isnull=True).exclude(kind=TargetKind.INVESTIGATION).exists(),
        evidence=list(evidence.order_by("-verdict", "pk")[:EVIDENCE_SHOWN]),
        evidence_total=evidence.count(),
        plan=action.plans.filter(revision=action.revision).order_by("-id").first(),
        votes=list(action.votes.filter(revision=action.revision).select_related("plan")),
        events=list(reversed(events)),
        attempts=list(action.attempts.order_by("-id")[:ATTEMPTS_SHOWN]),
        similar=_similar(action, viewer),
        surprises=list(action.surprises.filter(looked_at=None).order_by("pk")),
        files=list(action.artefacts.order_by("pk")[:FILES_SHOWN]),
        comments=list(reversed(said[:COMMENTS_SHOWN])),
    )


def verdicts_then(action: Action, evidence: Sequence[Evidence]) -> dict[int, int]:
    """Evidence -> its verdict when the action was proposed."""
    links = ActionEvidence.objects.filter(action=action, evidence__in=evidence)
    return dict(links.values_list("evidence_id", "verdict"))


def _similar(action: Action, viewer: Viewer) -> list[RawRow]:
    """Others that wait in the same investigation or on the same device."""
    same = Q(pk__in=[])
    if action.investigation_id:
        same |= Q(investigation=action.investigation_id)
    if action.device_id:
        same |= Q(device=action.device_id)
    others = within(Action.objects.waiting().filter(same), viewer.scope).exclude(pk=action.pk)
    return read(compiled(columns(others.order_by("expires_at", "id"))[:SIMILAR_SHOWN]))


def last_edit(action: Action) -> tuple[str, datetime | None]:
    """Who changed it last, and when."""
    edits = Event.objects.filter(stream=f"action:{action.pk}", kind=Kind.ACTION_EDITED).order_by("-seq")
    return edits.values_list("actor_name", "at").first() or ("", None)


def changed_since(action: Action, revision: int) -> dict[str, tuple[Any, Any]]:
    """Parameter -> (value then, value now) for edits after a revision."""
    edits = Event.objects.filter(stream=f"action:{action.pk}", kind=Kind.ACTION_EDITED).order_by("-seq")
    missed = list(edits[: max(0, action.revision - revision)])
    if not missed:
        return {}
    then: dict[str, Any] = (missed[-1].before or {}).get("parameters", {})
    now: dict[str, Any] = action.parameters
    return {
        name: (then.get(name), now.get(name))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    }


def plan_since(action: Action, digest: str) -> list[str]:
    """What the newest plan says that the one with this digest (or its first letters) didn't, at most 3."""
    plans = action.plans.filter(revision=action.revision).order_by("-id")
    newest = plans.first()
    seen = plans.filter(digest__startswith=digest).first() if digest else None
    if newest is None:
        return []
    told = []
    for name, words in PLAN_PARTS.items():
        now, then = newest.body.get(name) or [], (seen.body.get(name) or []) if seen else []
        if len(now) != len(then):
            told.append(f"{words}: was {len(then):,}, is now {len(now):,}")
        elif now != then:
            told.append(f"{words} differ")
    return told[:3]
