"""Decisions made alone in an emergency, judged by somebody else afterwards."""

from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import Action, Conflict, Invalid, Review
from actioncenter.actions.models.assigning import COMMENT_LIMIT
from actioncenter.actions.pane import title_of
from actioncenter.actions.permissions import NotVisible, Refused, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.settings.access import within
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when
from actioncenter.web.refusing import refused

DONE_SHOWN: Final = 100


class JudgementForm(forms.Form):
    justified = forms.TypedChoiceField(
        choices=[("yes", "Justified"), ("no", "Not justified")],
        coerce=lambda value: value == "yes",
        error_messages={"required": "Say whether it was justified."},
    )
    comment = forms.CharField(
        max_length=COMMENT_LIMIT, strip=True, error_messages={"required": "A comment is required."}
    )

    @property
    def complaint(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)


@require_safe
def reviews(request: Request) -> HttpResponse:
    return _page(request)


@require_POST
def judge(request: Request, pk: int) -> HttpResponse:
    row = load(_visible(viewer_of(request)), pk)
    form = JudgementForm(request.POST)
    if not form.is_valid():
        return _page(request, error=f"{row.action.label}: {form.complaint}", status=422)
    sent = form.cleaned_data

    def effect() -> Outcome:
        try:
            row.judge(by=actor_of(request), justified=sent["justified"], comment=sent["comment"])
        except Conflict as conflict:
            return {"lost": conflict.message}
        return {"said": f"Your review of {row.action.label} is recorded."}

    def answer(outcome: Outcome) -> HttpResponse:
        if "lost" in outcome:
            return refused(request, 409, "Not recorded", outcome["lost"])
        return redirect("actions:reviews")

    try:
        return once(request, effect, answer)
    except NotVisible as gone:
        raise Http404 from gone
    except Refused as refusal:
        return refused(request, 403, "Not allowed", f"{refusal} Nothing was recorded.")
    except Invalid as invalid:
        return _page(request, error=invalid.reason, status=422)


def _visible(viewer: Viewer) -> QuerySet[Review]:
    seen = within(Action.objects.all(), viewer.scope)
    return Review.objects.filter(action__in=seen).select_related("action")


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    viewer = viewer_of(request)
    rows = _visible(viewer)
    done = rows.filter(reviewed_at__isnull=False).order_by("-reviewed_at", "-pk")[:DONE_SHOWN]
    context = {
        "open": [_shown(row, viewer) for row in rows.filter(reviewed_at=None)],
        "done": [_shown(row, viewer) for row in done],
        "error": error,
    }
    return render(request, "actions/reviews.html", context, status=status)


def _shown(row: Review, viewer: Viewer) -> dict[str, Any]:
    return {
        "pk": row.pk,
        "label": row.action.label,
        "url": reverse("actions:detail", args=[row.action_id]),
        "title": title_of(row.action),
        "by": row.made_by_name,
        "reason": row.reason,
        "made": when(row.made_at),
        "made_iso": iso(row.made_at),
        "due": when(row.due_at),
        "due_iso": iso(row.due_at),
        "late": row.reviewed_at is None and row.due_at <= viewer.now,
        "reviewed_by": row.reviewed_by_name,
        "reviewed": when(row.reviewed_at),
        "reviewed_iso": iso(row.reviewed_at),
        "justified": row.justified,
        "comment": row.comment,
        "why_not": _why_not(row, viewer),
    }


def _why_not(row: Review, viewer: Viewer) -> str:
    if row.made_by_ref == viewer.user.ref:
        return "Another person reviews what you decided."
    refusal = viewer.rights.refusal(Verb.APPROVE, row.action)
    return str(refusal) if refusal else ""
