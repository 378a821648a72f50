"""One action: beside its list, or as a page of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.actions.models import Action
from actioncenter.actions.pane import pane_of
from actioncenter.actions.queries import Viewer, list_counts, page, viewer_of
from actioncenter.actions.queries.details import details
from actioncenter.actions.views.state import ListState
from actioncenter.live.tag import action_tag
from actioncenter.settings.access import within
from actioncenter.web import htmx
from actioncenter.web.load import load


@require_safe
def detail(request: HttpRequest, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    tag = action_tag(viewer, action, request.path)
    wanted = htmx.fragment(request)
    if wanted and htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    context = {"action": pane_of(details(action, viewer), viewer, url=page_url, tag=tag), "fragment": wanted}
    template = "actions/_pane.html" if wanted == "pane" else "actions/detail.html"
    return htmx.live(render(request, template, context), tag)


def page_url(number: int) -> str:
    return reverse("actions:detail", args=[number])


def visible_action(viewer: Viewer, number: int) -> Action:
    """404 for what lies outside the person's scope, as for what doesn't exist."""
    return load(within(Action.objects.all(), viewer.scope), number)


def pane_response(request: HttpRequest, state: ListState) -> HttpResponse:
    """The pane alone, for a row that was opened or polls itself."""
    action = visible_action(state.viewer, state.open or 0)
    tag = tag_beside(state, action)
    if htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    return htmx.live(render(request, "actions/_pane.html", pane_context(state, action, tag)), tag)


def tag_beside(state: ListState, action: Action) -> str:
    """The same whichever request asks: the list's own address stands for its state."""
    return action_tag(state.viewer, action, state.here(open=action.pk))


def pane_context(
    state: ListState, action: Action, tag: str, *, numbers: Sequence[int] | None = None
) -> dict[str, Any]:
    """`numbers` are those of the page beside it; read here when the list isn't shown as well."""
    if numbers is None:
        found = page(state.listing, list_counts(state.listing))
        numbers = [row.id for rows in found.in_order for row in rows]
    opened = pane_of(
        details(action, state.viewer),
        state.viewer,
        url=state.opener(),
        tag=tag,
        around=_around(state, action.pk, numbers),
    )
    return {"action": opened, "fragment": "pane"}


def _around(state: ListState, number: int, numbers: Sequence[int]) -> Mapping[str, Any]:
    around = {"prev_url": "", "next_url": "", "close_url": state.here(), "position": ""}
    if number not in numbers:
        return around
    at, url = list(numbers).index(number), state.opener()
    return around | {
        "prev_url": url(numbers[at - 1]) if at else "",
        "next_url": url(numbers[at + 1]) if at + 1 < len(numbers) else "",
        "position": f"{at + 1} of {len(numbers)}",
    }
