"""One decision on many actions of one type; every one gets its own answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from actioncenter.accounts.request import actor_of
from actioncenter.actions.forms import BulkForm
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.models.deciding import RowResult
from actioncenter.actions.permissions import Refused, Verb
from actioncenter.actions.queries import viewer_of
from actioncenter.actions.rows import shown_target
from actioncenter.actions.views.decide import state_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.lists import listed
from actioncenter.actions.views.refusing import refused
from actioncenter.audit.actor import Actor
from actioncenter.web import htmx

CODES: Final[Mapping[str, str]] = {
    "decided": "conflict", "voted": "conflict", "busy": "conflict", "expired": "expired", "changed": "changed",
    "role": "denied", "own_proposal": "denied", "person": "denied", "unknown": "denied",
}  # fmt: skip
"""How a refusal looks in the list of results; anything else is `failed`."""
DONE: Final = {"approve": "approved", "reject": "rejected", "undo": "being undone"}


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    form = BulkForm({**request.POST.dict(), "selected": request.POST.getlist("selected")})
    if not form.is_valid():
        return refused(request, 400, "Not understood", f"{form.complaint} Nothing was recorded.")
    sent = form.cleaned_data
    try:
        found = _carry_out(sent, actor_of(request))
    except Invalid as invalid:
        return refused(request, 422, "Nothing was recorded", f"{invalid.name}: {invalid.reason}")
    except Refused as refusal:
        return refused(request, 403, "Not allowed", f"{refusal} Nothing was recorded.")
    except Conflict as conflict:
        return refused(request, 409, "Nothing was recorded", conflict.message)
    return _answer(request, sent["next"], _results(found, sent["verb"]))


def _carry_out(sent: Mapping[str, Any], by: Actor) -> Sequence[RowResult]:
    chosen: dict[int, int | None] = sent["selected"]
    comment, numbers = sent["comment"], list(chosen)
    if sent["verb"] == Verb.UNDO:
        if not comment:
            raise Invalid("comment", "A comment is required to undo.")
        return Action.objects.undo_many(numbers, by=by, comment=comment)
    revisions = {number: revision for number, revision in chosen.items() if revision}
    many = Action.objects.approve_many if sent["verb"] == Verb.APPROVE else Action.objects.reject_many
    return many(numbers, by=by, comment=comment, revisions=revisions)


def _results(found: Sequence[RowResult], verb: str) -> dict[str, Any]:
    done = sum(result.ok for result in found)
    return {
        "title": f"{done} of {len(found)} {DONE[verb]}",
        "rows": [_result(result) for result in found],
        "done": done,
        "total": len(found),
    }


def _result(result: RowResult) -> dict[str, str]:
    action = result.action
    return {
        "label": f"A-{result.number}",
        "url": page_url(result.number),
        "target": shown_target(action.target_kind, action.target_name) if action else "",
        "code": "done" if result.ok else CODES.get(result.code, "failed"),
        "text": _said(result),
    }


def _said(result: RowResult) -> str:
    """The message without the number that stands before it anyway."""
    text = result.message.removeprefix(f"A-{result.number}").lstrip(": ")
    return text[:1].upper() + text[1:]


def _answer(request: HttpRequest, wanted: str, results: Mapping[str, Any]) -> HttpResponse:
    if htmx.fragment(request):
        response = htmx.live(render(request, "actions/_results.html", {"results": results}))
        response["HX-Trigger"] = htmx.CHANGED
        return response
    back = htmx.local_path(request, wanted, reverse("actions:pending"))
    state = state_of(viewer_of(request), back)
    if state is None:
        return redirect(back)
    return listed(request, state.tab, query=state.query, results=results)
