"""Handing a shift over: offered, read and ticked, then taken."""

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import Handover
from actioncenter.actions.models.handing_over import (
    LONGEST_SHIFT,
    RESTATED,
    TEXT_LIMIT,
    HandoverError,
    covers,
)
from actioncenter.actions.permissions import PROPOSERS, Refused
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.web.load import load
from actioncenter.web.moments import iso, lasting, when
from actioncenter.web.refusing import refused

LISTED: Final = 100
USUAL_HOURS: Final = 8
MOST_HOURS: Final = int(LONGEST_SHIFT.total_seconds() // 3600)
CONFLICTS: Final = frozenset({"ended", "open"})
FORBIDDEN: Final = frozenset({"same_person", "scope", "other_person"})


class OfferForm(forms.Form):
    """`hours` is how long ago the shift began."""

    hours = forms.IntegerField(min_value=1, max_value=MOST_HOURS)
    concerns = forms.CharField(required=False, max_length=TEXT_LIMIT, strip=True)


@require_safe
def handovers(request: Request) -> HttpResponse:
    return _list(request)


@require_POST
def offer(request: Request) -> HttpResponse:
    form = OfferForm(request.POST)
    if not form.is_valid():
        return _list(request, error=f"Say how many hours ago the shift began, 1 to {MOST_HOURS}.", status=400)
    since = timezone.now() - timedelta(hours=form.cleaned_data["hours"])

    def effect() -> Outcome:
        made = Handover.offer(by=actor_of(request), since=since, concerns=form.cleaned_data["concerns"])
        return {"said": "Offered. Nothing moves before somebody takes it.", "pk": made.pk}

    try:
        return once(request, effect, lambda outcome: redirect("actions:handover", pk=outcome["pk"]))
    except Refused as refusal:
        return refused(request, 403, "Not allowed", str(refusal))
    except HandoverError as error:
        return _list(request, error=str(error), status=409 if error.code in CONFLICTS else 422)


@require_safe
def handover(request: Request, pk: int) -> HttpResponse:
    return _page(request, _visible(viewer_of(request), pk))


@require_POST
def accept(request: Request, pk: int) -> HttpResponse:
    row = _visible(viewer_of(request), pk)
    points = [text.strip() for text in request.POST.getlist("point")]
    seen = frozenset(request.POST.getlist("seen"))

    def effect() -> Outcome:
        restated = "\n".join(" ".join(text.split()) for text in points)
        moved = row.accept(by=actor_of(request), restated=restated, seen=seen)
        actions = "1 action is" if moved == 1 else f"{moved} actions are"
        return {"said": f"The shift is yours. {actions} now with you."}

    try:
        return once(request, effect, lambda outcome: redirect("actions:handover", pk=pk))
    except (Refused, HandoverError) as error:
        return _refused(request, row, error, seen=seen, points=points)


@require_POST
def cancel(request: Request, pk: int) -> HttpResponse:
    row = _visible(viewer_of(request), pk)

    def effect() -> Outcome:
        row.cancel(by=actor_of(request))
        return {"said": "The handover was taken back. Nothing has moved."}

    try:
        return once(request, effect, lambda outcome: redirect("actions:handovers"))
    except HandoverError as error:
        return _refused(request, row, error)


def _visible(viewer: Viewer, pk: int) -> Handover:
    """404 when it speaks of groups the person can't see; one's own is always there."""
    row = load(Handover.objects.all(), pk)
    if viewer.user.pk not in (row.given_by_id, row.taken_by_id) and not covers(viewer.rights, row):
        raise Http404
    return row


def _refused(request: Request, row: Handover, error: Exception, **entered: Any) -> HttpResponse:
    code = getattr(error, "code", "")
    if isinstance(error, Refused) or code in FORBIDDEN:
        return refused(request, 403, "Not allowed", f"{error} Nothing was recorded.")
    row.refresh_from_db()
    return _page(request, row, error=str(error), status=409 if code in CONFLICTS else 422, **entered)


def _list(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    viewer = viewer_of(request)
    own = {viewer.user.pk}
    shown = [
        row
        for row in Handover.objects.all()[:LISTED]
        if own & {row.given_by_id, row.taken_by_id} or covers(viewer.rights, row)
    ]
    context = {
        "rows": [_row(row) for row in shown],
        "can_offer": bool(viewer.rights.roles & PROPOSERS)
        and not any(row.is_open and row.given_by_id == viewer.user.pk for row in shown),
        "usual_hours": USUAL_HOURS,
        "most_hours": MOST_HOURS,
        "error": error,
    }
    return render(request, "actions/handovers.html", context, status=status)


def _page(
    request: Request,
    row: Handover,
    *,
    error: str = "",
    status: int = 200,
    seen: frozenset[str] = frozenset(),
    points: list[str] | None = None,
) -> HttpResponse:
    viewer = viewer_of(request)
    mine = row.given_by_id == viewer.user.pk
    context = {
        "handover": {**_row(row), "concerns": row.concerns, "restated": row.restated},
        "sections": [_section(viewer, section, seen) for section in row.body.get("sections", [])],
        "points": ((points or []) + [""] * RESTATED)[:RESTATED],
        "can_accept": row.is_open and not mine and bool(viewer.rights.roles & PROPOSERS),
        "can_cancel": row.is_open and mine,
        "error": error,
    }
    return render(request, "actions/handover.html", context, status=status)


def _row(row: Handover) -> dict[str, Any]:
    code, label, ended = "waiting", "Offered", None
    if row.accepted_at:
        code, label, ended = "done", "Taken over", row.accepted_at
    elif row.cancelled_at:
        code, label, ended = "cancelled", "Taken back", row.cancelled_at
    return {
        "pk": row.pk,
        "url": reverse("actions:handover", args=[row.pk]),
        "given_by": row.given_by_name,
        "taken_by": row.taken_by_name,
        "since": when(row.since),
        "since_iso": iso(row.since),
        "covers": lasting(row.offered_at - row.since),
        "offered": when(row.offered_at),
        "offered_iso": iso(row.offered_at),
        "state_code": code,
        "state_label": label,
        "ended": when(ended),
        "ended_iso": iso(ended),
    }


def _section(viewer: Viewer, section: dict[str, Any], seen: frozenset[str]) -> dict[str, Any]:
    lines = [
        {
            "text": line["text"],
            "detail": line["detail"],
            "url": reverse("actions:detail", args=[line["number"]]) if line["number"] else "",
            "label": f"A-{line['number']}" if line["number"] else "",
            "at": when(parse_datetime(line["at"])) if line["at"] else "",
            "at_iso": line["at"],
        }
        for line in section["lines"]
    ]
    return {
        "key": section["key"],
        "title": section["title"],
        "total": section["total"],
        "lines": lines,
        "more": section["total"] - len(lines),
        "ticked": section["key"] in seen,
    }
