"""The log of views."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.auditor import seen, words
from actioncenter.auditor.filters import ViewFilter
from actioncenter.auditor.models import PageView
from actioncenter.auditor.views.entering import auditors, listed
from actioncenter.auditor.views.events import subject_url
from actioncenter.auditor.walking import Page
from actioncenter.web.moments import iso

EMPTY: Final = {
    "title": "Nobody has looked yet",
    "text": "Every page that somebody opens and every file that somebody takes will stand here, some seconds later.",
    "url": "",
    "label": "",
}


@require_safe
@auditors
def looks(request: Request) -> HttpResponse:
    narrowing = ViewFilter(request.GET)
    chosen = narrowing.chosen

    def look(position: Any) -> Page:
        return seen.page(
            actor=chosen.get("actor", ""),
            subject=chosen.get("subject", ""),
            pages=chosen.get("pages", ""),
            since=narrowing.since(),
            position=position,
        )

    return listed(request, narrowing, look, _rows, tab="looks", one="view", empty=EMPTY)


def _rows(found: Sequence[PageView]) -> list[dict[str, Any]]:
    day, rows = None, []
    for row in found:
        local = timezone.localtime(row.at)
        rows.append(
            {
                "day": f"{local:%A, %d %B %Y}" if local.date() != day else "",
                "at": f"{local:%H:%M:%S}",
                "at_iso": iso(row.at),
                "who": row.actor_name,
                "what": what(row.page),
                "subject": words.subject_label(row.subject) if row.subject else "",
                "subject_url": subject_url(row.subject),
                "address": row.address,
            }
        )
        day = local.date()
    return rows


def what(page: str) -> str:
    """A page by name, or its address's own name made readable."""
    return WHAT.get(page) or page.replace(":", " ").replace("_", " ").capitalize()


WHAT: Final[Mapping[str, str]] = {
    "home": "Dashboard",
    "actions:pending": "Pending",
    "actions:history": "History",
    "actions:detail": "Action",
    "actions:decide": "Action, next after a decision",
    "actions:reports": "Reports of decisions",
    "actions:reports_file": "File: reports of decisions",
    "actions:targets": "Targets of an action",
    "actions:targets_file": "File: targets of an action",
    "investigations:list": "Investigations",
    "investigations:detail": "Investigation",
    "investigations:devices": "Devices",
    "investigations:device": "Device",
    "investigations:act": "Action by hand",
    "investigations:file": "File page",
    "investigations:act_on_file": "Action by hand on a file",
    "settings:authority_file": "File: who may decide",
    "auditor:events": "Audit log",
    "auditor:event": "Event",
    "auditor:story": "Story of an action",
    "auditor:looks": "Log of views",
    "auditor:verification": "Verification",
    "auditor:reports": "Reports",
    "auditor:report": "Monthly report",
    "auditor:report_file": "File: monthly report",
}
