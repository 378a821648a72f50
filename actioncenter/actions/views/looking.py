"""Having a runner look again at what an action would touch."""

from collections.abc import Sequence

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import Action, Conflict
from actioncenter.actions.models.deciding import RowResult
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.actions.queries import viewer_of
from actioncenter.actions.views.detail import page_url, visible_action
from actioncenter.actions.views.telling import told_once
from actioncenter.audit.actor import Actor
from actioncenter.web import htmx
from actioncenter.web.refusing import refused


@require_POST
def look_again(request: Request, number: int) -> HttpResponse:
    action = visible_action(viewer_of(request), number)
    back = htmx.local_path(request, request.POST.get("next", ""), page_url(number))

    def change() -> str:
        asked = action.look_again(by=actor_of(request))
        return f"{action.label}: {'a runner looks again' if asked else 'a runner is looking already'}."

    return told_once(
        request,
        change,
        way=lambda: redirect(back),
        again=lambda reason: refused(request, 422, "Not recorded", reason),
    )


def recounted(action: Action, code: str, by: Actor) -> None:
    """Where an approval was refused because the count is old, a new one is on its way."""
    if code == "plan_old":
        try:
            action.look_again(by=by)
        except (Conflict, Refused, NotVisible):
            return


def recounted_all(results: Sequence[RowResult], by: Actor) -> Sequence[RowResult]:
    for result in results:
        if result.action is not None:
            recounted(result.action, result.code, by)
    return results
