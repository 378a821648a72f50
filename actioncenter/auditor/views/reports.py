"""What happened in a month, in figures: to be read, printed, and taken away as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request, actor_of
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.auditor.figures import Figure, Month, month
from actioncenter.auditor.filters import month_of
from actioncenter.auditor.models import SUBJECT
from actioncenter.auditor.views.entering import auditors
from actioncenter.web.moments import iso
from actioncenter.web.sheets import as_csv, csv_file

MOST_MONTHS: Final = 36
HEAD: Final = ("month", "section", "figure", "by machines", "by people", "total")
RESULTS: Final = {
    "SOUND": "As it was written",
    "WRONG": "Not as it was written",
    "FAILED": "Couldn't be carried out",
}


@require_safe
@auditors
def reports(request: Request) -> HttpResponse:
    first = Event.objects.order_by("at", "pk").values_list("at", flat=True).first()
    months = list(_months(first)) if first else []
    return render(request, "auditor/reports.html", {"tab": "reports", "months": months})


@require_safe
@auditors
def report(request: Request, name: str) -> HttpResponse:
    found = _found(name)
    context = {
        "tab": "reports",
        "name": name,
        "title": f"{found.since:%B %Y}",
        "so_far": found.until > timezone.now(),
        "figures": found,
        "tiles": list(_tiles(found)),
        "sections": [
            {"title": title, "figures": [_shown(figure, name) for figure in figures]}
            for title, figures in found.sections.items()
        ],
        "verified": [
            {"label": RESULTS.get(result, result), "number": found.verified[result]}
            for result in found.verified
        ],
        "seal_at": iso(found.seal.at) if found.seal else "",
        "printed": f"{timezone.now().astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
    }
    return render(request, "auditor/report.html", context)


@require_safe
@auditors
def report_file(request: Request, name: str) -> HttpResponse:
    found = _found(name)
    with transaction.atomic():
        detail = {"what": "monthly report", "month": name}
        log.record(Kind.EXPORT_MADE, by=actor_of(request), subject=SUBJECT, detail=detail)
    return csv_file(f"audit-{name}.csv", as_csv(HEAD, _lines(name, found)))


def _found(name: str) -> Month:
    """404 for what is no month, or hasn't begun."""
    try:
        since, until = month_of(name)
    except ValidationError as error:
        raise Http404 from error
    if since > timezone.now() or f"{since:%Y-%m}" != name:
        raise Http404
    return month(since, until)


def _months(first: datetime) -> Iterator[dict[str, str]]:
    """The newest first."""
    begin = timezone.now().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(MOST_MONTHS):
        name = f"{begin:%Y-%m}"
        yield {"label": f"{begin:%B %Y}", "name": name, "url": reverse("auditor:report", args=[name])}
        if begin <= first:
            break
        begin = (begin - timedelta(days=1)).replace(day=1)


def _tiles(found: Month) -> Iterator[dict[str, str]]:
    """What a reader wants first."""
    by_kind = {
        figure.kind or figure.label: figure for figures in found.sections.values() for figure in figures
    }
    approved, rejected = by_kind[Kind.ACTION_APPROVED], by_kind[Kind.ACTION_REJECTED]
    alone = next(figure for figure in found.sections["Decisions"] if not figure.kind)
    yield {"figure": f"{alone.machines:,}", "label": "run by automation"}
    yield {"figure": f"{approved.people + rejected.people + alone.people:,}", "label": "decided by people"}
    for kind, label in (
        (Kind.ACTION_UNDONE, "undone"),
        (Kind.ACTION_BREAK_GLASS, "break glass"),
        (Kind.ACTION_REFUSED, "refused by the runner"),
        (Kind.SESSION_SIGN_IN_FAILED, "sign-ins failed"),
    ):
        yield {"figure": f"{by_kind[kind].total:,}", "label": label}


def _shown(figure: Figure, name: str) -> dict[str, Any]:
    address = f"{reverse('auditor:events')}?kind={figure.kind}&month={name}"
    return {
        "label": figure.label,
        "machines": f"{figure.machines:,}",
        "people": f"{figure.people:,}",
        "total": f"{figure.total:,}",
        "url": address if figure.kind and figure.total else "",
    }


def _lines(name: str, found: Month) -> Iterator[tuple[object, ...]]:
    for title, figures in found.sections.items():
        for figure in figures:
            yield name, title, figure.label, figure.machines, figure.people, figure.total
    for of in found.types:
        yield name, "Proposed by type", of.label, "", "", of.proposed
        yield name, "Run without asking by type", of.label, "", "", of.at_once
    for result, number in found.verified.items():
        yield name, "Verifications", RESULTS.get(result, result), "", "", number
    yield name, "Log", "Events", "", "", found.events
    yield name, "Log", "Pages looked at", "", "", found.views
    yield name, "Log", "Files taken", "", "", found.files
    yield name, "Log", "Newest seal at the end", "", "", found.seal.number if found.seal else ""
    yield name, "Log", "Digest of that seal", "", "", found.seal.digest if found.seal else ""
    yield name, "Log", "All events sealed", "", "", "yes" if found.all_sealed else "no"
