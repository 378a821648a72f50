"""The page of one investigation, in tabs; a tab without data isn't there (domain §6.6)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.settings.access import within
from actioncenter.web.load import load
from investigations.models import Investigation
from investigations.views import acting, overview, tables
from investigations.views.tables import Part, Table

OVERVIEW: Final = "overview"
LABELS: Final[Mapping[str, str]] = {
    OVERVIEW: "Overview",
    "alerts": "Alerts",
    "devices": "Devices",
    "mailboxes": "Mailboxes",
    "users": "Users",
    "evidence": "Evidence",
    "entities": "Entities",
    "log": "Log",
    "pending": "Pending actions",
    "history": "Action history",
}
READ: Final[Mapping[str, Callable[[Part], Table]]] = {
    "alerts": tables.alerts,
    "devices": tables.devices,
    "mailboxes": tables.mailboxes,
    "users": tables.users,
    "evidence": tables.evidence,
    "entities": tables.entities,
    "log": acting.log_of,
    "pending": acting.pending,
    "history": acting.history,
}
VARIABLES: Final[Mapping[str, str]] = {"pending": "actions", "history": "actions"}
"""Tabs whose table has another name in the template."""
FEW: Final = 20
"""A table that is longer has its tab only."""


@require_safe
def detail(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    rows = within(Investigation.objects.select_related("group"), viewer.scope)
    part = Part(load(rows, number), viewer)
    counts = {**tables.counts(part), **acting.counts(part)}
    chosen = request.GET.get("tab", OVERVIEW)
    if chosen != OVERVIEW and not counts.get(chosen):
        raise Http404("This investigation has no such tab.")
    context = {
        "inv": overview.head(part, waiting=counts["pending"], decide_url=_decide_url(part, counts)),
        "tabs": _tabs(part.investigation, chosen, counts),
        "steps": overview.steps(part, waiting=counts["pending"]) if chosen == OVERVIEW else [],
        **_tables(part, chosen, counts),
    }
    return render(request, "investigations/detail.html", context)


def _tables(part: Part, chosen: str, counts: Mapping[str, int]) -> dict[str, Any]:
    wanted = [chosen]
    if chosen == OVERVIEW:
        acted = "pending" if counts["pending"] else "history"
        wanted = [name for name in (acted, "evidence", "alerts") if 0 < counts[name] <= FEW]
    shown: dict[str, Any] = {VARIABLES.get(name, name): [] for name in READ}
    shown["shown"] = dict.fromkeys(shown, "")
    for name in wanted:
        table = READ[name](part)
        variable = VARIABLES.get(name, name)
        shown[variable] = table
        more = len(table) < counts[name]
        shown["shown"][variable] = f"{len(table):,} of {counts[name]:,}" if more else f"{len(table):,}"
    return shown


def _tabs(investigation: Investigation, chosen: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    path = reverse("investigations:detail", args=[investigation.pk])
    return [
        {
            "key": key,
            "label": label,
            "count": None if key in {OVERVIEW, "log"} else counts[key],
            "url": path if key == OVERVIEW else f"{path}?tab={key}",
            "active": key == chosen,
        }
        for key, label in LABELS.items()
        if key == OVERVIEW or counts.get(key)
    ]


def _decide_url(part: Part, counts: Mapping[str, int]) -> str:
    if not counts["pending"] or not _can_decide(part.viewer):
        return ""
    return f"{reverse('actions:pending')}?investigation={part.investigation.pk}"


def _can_decide(viewer: Viewer) -> bool:
    return bool(viewer.rights.roles & acting.DECIDERS)
