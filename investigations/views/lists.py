"""The list of investigations: the last week and whatever is still open, unless asked otherwise."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions.models import Action
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.refusing import refused
from actioncenter.guide.documents import address_of
from actioncenter.settings.access import within
from actioncenter.web.keyset import BadToken
from actioncenter.web.moments import iso, lasting, when
from actioncenter.web.narrowing import Address
from investigations import pages, words
from investigations.enums import InvestigationState, Severity
from investigations.filters import InvestigationFilter
from investigations.models import Evidence, Investigation

Shown = dict[str, Any]
CAPPED: Final = "10,000+"
DOWN_FIRST: Final = frozenset({"id", "severity", "waiting", "created", "changed", "duration"})
"""Columns whose most wanted end comes with the first click: the newest, the worst, the most."""
BAD_SORT: Final = "This list can't be sorted that way; the usual order is shown."


@require_safe
def listed(request: Request) -> HttpResponse:
    viewer = viewer_of(request)
    rows: QuerySet[Investigation] = within(Investigation.objects.all(), viewer.scope)
    narrowing = InvestigationFilter(request.GET, rows=rows, scope=viewer.scope)
    wanted = request.GET.get("sort", "")
    order = pages.order_of(wanted or pages.DEFAULT_SORT)
    complaints = [*narrowing.complaints, *([] if order else [BAD_SORT])]
    order = order or pages.Order("changed", down=True)
    rows = narrowing.narrow(rows)
    if order.key == "waiting":
        rows = _with_waiting(rows, viewer)
    try:
        page = pages.page(rows, order, request.GET.get("page", ""))
    except BadToken:
        return refused(
            request, 400, "This page of the list can't be found", "Its address was changed or is too old. Start again from the first page."
        )  # fmt: skip
    for complaint in complaints:
        messages.warning(request, complaint)
    address = ListAddress(narrowing, order)
    context = {
        "rows": _shown(page.rows, viewer),
        "filter": narrowing,
        "chips": address.chips(),
        "clear_url": address.clear_url,
        "hidden_state": [(name, value) for name, value in address.kept.items() if name == "sort"],
        "sort": {"key": order.key, "direction": "desc" if order.down else "asc"},
        "sort_links": address.sort_links(),
        "page": _page(page, address),
        "list_url": address.url(),
        "total_label": _total(page),
        "empty": {} if page.rows else _empty(address, viewer),
    }
    return render(request, "investigations/list.html", context, status=400 if complaints else 200)


class ListAddress(Address):
    """The state of the list, which lies wholly in its address."""

    def __init__(self, narrowing: InvestigationFilter, order: pages.Order) -> None:
        self.path, self.narrowing, self.order = reverse("investigations:list"), narrowing, order
        self.kept = QueryDict(mutable=True)
        for name, value in narrowing.chosen.items():
            self.kept[name] = value
        if str(order) != pages.DEFAULT_SORT:
            self.kept["sort"] = str(order)

    def page_url(self, token: str) -> str:
        return self.url(page=token) if token else ""

    def sort_links(self) -> dict[str, Shown]:
        links = {}
        for key in pages.COLUMNS:
            active = key == self.order.key
            down = not self.order.down if active else key in DOWN_FIRST
            links[key] = {
                "url": self.url(sort=str(pages.Order(key, down))),
                "active": active,
                "direction": "desc" if self.order.down else "asc",
            }
        return links


def _with_waiting(rows: QuerySet[Investigation], viewer: Viewer) -> QuerySet[Investigation]:
    waiting = within(Action.objects.waiting(), viewer.scope).filter(investigation=OuterRef("pk"))
    counted = waiting.order_by().values("investigation").annotate(number=Count("pk")).values("number")
    return rows.annotate(waiting=Coalesce(Subquery(counted, output_field=IntegerField()), 0))


def _shown(rows: Sequence[Investigation], viewer: Viewer) -> list[Shown]:
    """As many queries for a hundred rows as for one."""
    ids = [row.pk for row in rows]
    seen = within(Evidence.objects.filter(investigation__in=ids), viewer.scope)
    evidence = {
        pk: numbers
        for pk, *numbers in seen.order_by()
        .values_list("investigation")
        .annotate(Count("pk"), Count("device", distinct=True), Count("mailbox", distinct=True))
    }
    actions = within(Action.objects.filter(investigation__in=ids), viewer.scope).order_by()
    waiting = within(Action.objects.waiting().filter(investigation__in=ids), viewer.scope).order_by()
    taken = dict(actions.values_list("investigation").annotate(Count("pk")))
    waits = dict(waiting.values_list("investigation").annotate(Count("pk")))
    return [
        _row(row, evidence.get(row.pk, [0, 0, 0]), waits.get(row.pk, 0), taken.get(row.pk, 0), viewer.now)
        for row in rows
    ]


def _row(row: Investigation, evidence: list[int], waiting: int, actions: int, now: datetime) -> Shown:
    status_code, status_label = words.STATES[InvestigationState(row.state)]
    severity_code, severity_label = words.SEVERITIES[Severity(row.severity)]
    found, devices, mailboxes = evidence
    return {
        "label": str(row),
        "url": reverse("investigations:detail", args=[row.pk]),
        "title": row.title,
        "status_code": status_code,
        "status_label": status_label,
        "severity_code": severity_code,
        "severity_label": severity_label,
        "entities": entities(devices, mailboxes),
        "waiting": waiting,
        "actions": actions,
        "evidence": found,
        "source": row.detection_source or row.source,
        "created": when(row.started_at, now),
        "created_iso": iso(row.started_at),
        "changed": when(row.changed_at, now),
        "changed_iso": iso(row.changed_at),
        "duration": lasting((row.ended_at or now) - row.started_at),
    }


def entities(devices: int, mailboxes: int) -> str:
    """`3 devices, 1 mailbox`."""
    parts = []
    if devices:
        parts.append(f"{devices:,} device{'' if devices == 1 else 's'}")
    if mailboxes:
        parts.append(f"{mailboxes:,} mailbox{'' if mailboxes == 1 else 'es'}")
    return ", ".join(parts)


def _page(page: pages.Page, address: ListAddress) -> Shown:
    return {
        "next_url": address.page_url(page.after),
        "prev_url": address.page_url(page.before),
        "shown_from": f"{page.first if page.rows else 0:,}",
        "shown_to": f"{page.first + len(page.rows) - 1 if page.rows else 0:,}",
        "total_label": _total(page),
        "size": pages.PAGE_SIZE,
    }


def _total(page: pages.Page) -> str:
    return CAPPED if page.total > pages.COUNT_CAP else f"{page.total:,}"


def _empty(address: Address, viewer: Viewer) -> dict[str, str]:
    if not within(Investigation.objects.all(), viewer.scope).exists():
        return {**NONE_YET, "url": address_of("intake"), "label": "How alerts come in"}
    return address.nothing_fits("investigation") or {
        "title": "No investigation in the past week",
        "text": "None is open either. Investigations begin when an alert comes in.",
        "url": address.url(since="ever"),
        "label": "Show all",
    }


NONE_YET: Final = {
    "title": "No investigations yet",
    "text": "An investigation begins when a source sends an alert. It will stand here with its evidence, whom it concerns and "
    "what was done about it.",
}
