"""The first page: what waits, what runs, what went wrong, what was done last."""

from collections.abc import Callable
from typing import Any, Final

from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.queries.raw import columns, read
from actioncenter.actions.rows import iso, rows_of
from actioncenter.live.context import counts_of
from actioncenter.live.tag import list_tag
from actioncenter.settings.access import within
from actioncenter.web import htmx
from actioncenter.web.keyset import joined
from actioncenter.web.text import age_of
from investigations.enums import ACTIVE_STATES
from investigations.models import Alert, Investigation

LINES: Final = 6


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    viewer, counts = viewer_of(request), counts_of(request)
    tag = list_tag(viewer, counts, "home")
    wanted = htmx.fragment(request)
    if wanted == "dash" and htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    actions = Action.objects
    running = actions.running().exclude(pk__in=actions.needs_a_look().values("pk"))
    active = Investigation.objects.filter(state__in=[state.value for state in ACTIVE_STATES])
    expiring, moving, odd, recent = _lines(
        viewer,
        ("actions:pending", actions.waiting().order_by("expires_at", "id")),
        ("actions:history", running.order_by("-queued_at", "-id")),
        ("actions:pending", actions.needs_a_look().order_by("queued_at", "id")),
        ("actions:history", actions.ended().order_by("-history_at", "-id")),
    )
    context = {
        "card": _card(viewer),
        "expiring": expiring,
        "running": moving,
        "needs_look": odd,
        "needs_look_count": counts.needs_look,
        "recent": recent,
        "investigations_open": within(active, viewer.scope).count(),
        "ptag": tag,
    }
    template = "_dashboard.html" if wanted == "dash" else "dashboard.html"
    return htmx.live(render(request, template, context), tag)


def _card(viewer: Viewer) -> dict[str, Any]:
    """What is waiting for a decision, and whom it concerns."""
    waiting = within(Action.objects.waiting(), viewer.scope).order_by()
    numbers = waiting.aggregate(waiting=Count("pk"), oldest=Min("created_at"))
    targets = ActionTarget.objects.filter(action__in=waiting.values("pk")).order_by()
    concerned = targets.aggregate(
        devices=Count("device", distinct=True), mailboxes=Count("mailbox", distinct=True)
    )
    alerts = Alert.objects.filter(investigation__in=waiting.values("investigation"))
    oldest = numbers.pop("oldest")
    return {
        "waiting": numbers["waiting"],
        "alerts": within(alerts, viewer.scope).count(),
        **concerned,
        "oldest_age": age_of(oldest, viewer.now) if oldest else "",
        "oldest_iso": iso(oldest),
    }


def _lines(viewer: Viewer, *lists: tuple[str, QuerySet[Action]]) -> list[list[Any]]:
    """The first rows of each list, in one statement; a row opens in the list it is named with."""
    raws = read(
        joined(
            columns(within(rows, viewer.scope), branch=at, progress=True)[:LINES]
            for at, (_, rows) in enumerate(lists)
        )
    )
    made = []
    for at, (name, _) in enumerate(lists):
        here = [raw for raw in raws if raw.branch == at]
        made.append([*rows_of(here, viewer, _opener(name), history=name == "actions:history")])
    return made


def _opener(name: str) -> Callable[[int], str]:
    base = reverse(name)
    return lambda number: f"{base}?open={number}"
