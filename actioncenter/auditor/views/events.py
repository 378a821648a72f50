"""The log: its events in a list, and each by itself."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions import blinding
from actioncenter.actions.queries import viewer_of
from actioncenter.audit import canonical, redacted, sealing
from actioncenter.audit.models import Event, Seal
from actioncenter.auditor import finding, words
from actioncenter.auditor.enums import RedactionState
from actioncenter.auditor.filters import EventFilter
from actioncenter.auditor.models import RedactionRequest
from actioncenter.auditor.naming import group_names
from actioncenter.auditor.views.entering import auditors, listed
from actioncenter.auditor.walking import Page
from actioncenter.settings.access import visible
from actioncenter.web.load import load
from actioncenter.web.moments import iso

Shown = dict[str, Any]
FIELDS_SHOWN: Final = 200
EMPTY: Final = {
    "title": "The log is empty",
    "text": "Every decision, every step of execution, every change of a setting and every sign-in will stand here.",
    "url": "",
    "label": "",
}
NOT_SEARCHED: Final = "Votes on what still waits for yours are left out of a search for words."
COMMENT: Final = "comment"
"""What somebody said to a vote, in the detail of its event."""
_PAGES: Final[Mapping[str, str]] = {
    "action": "actions:detail",
    "investigation": "investigations:detail",
    "group": "settings:group",
    "device": "investigations:device",
    "event": "auditor:event",
}


@require_safe
@auditors
def events(request: Request) -> HttpResponse:
    narrowing, seen, viewer = (
        EventFilter(request.GET),
        visible(Event.objects.all(), request.user),
        viewer_of(request),
    )
    wanted = narrowing.wanted()
    if wanted.words:
        seen = blinding.readable(seen, viewer)

    def look(position: Any) -> Page:
        return finding.page(seen, wanted, position)

    left_out = NOT_SEARCHED if wanted.words and blinding.may_vote(viewer) else ""
    return listed(request, narrowing, look, _rows, tab="events", one="event", empty=EMPTY, left_out=left_out)


@require_safe
@auditors
def event(request: Request, number: int) -> HttpResponse:
    row = load(visible(Event.objects.all(), request.user), number)
    around = Event.objects.filter(stream=row.stream, seq__in=[row.seq - 1, row.seq + 1])
    beside = {seq: (pk, chain) for pk, seq, chain in around.values_list("pk", "seq", "chain")}
    before, after = beside.get(row.seq - 1), beside.get(row.seq + 1)
    kept_back = blinding.KEPT_BACK if blinding.keeps_back(row, viewer_of(request)) else ""
    context = {
        "tab": "events",
        "event": row,
        "what": words.kind_label(row.kind),
        "via": words.via_label(row.actor_via),
        "area": words.area_label(row.area),
        "group": group_names([row]).get(row.pk, ""),
        "subject": words.subject_label(row.subject),
        "subject_url": subject_url(row.subject),
        "stream": words.subject_label(row.stream),
        "log_url": f"{reverse('auditor:events')}?subject={row.stream}",
        "actor_url": f"{reverse('auditor:events')}?actor={row.actor}",
        "at": f"{timezone.localtime(row.at):%d %b %Y, %H:%M:%S %Z}",
        "at_utc": f"{row.at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}",
        "changes": _changes(row.before, row.after),
        "detail": [
            (name, kept_back if kept_back and name == COMMENT else _said(value))
            for name, value in _flat(row.detail)
        ],
        "kept_back": kept_back,
        "intact": _is_intact(row, before[1] if before else ""),
        "seal": _seal(sealing.holding(row.pk)),
        "redactions": _redactions(row),
        "previous": before[0] if before else None,
        "next": after[0] if after else None,
    }
    return render(request, "auditor/event.html", context)


def subject_url(ref: str) -> str:
    """The page of what an event is about; empty where it has none."""
    kind, _, number = ref.partition(":")
    view = _PAGES.get(kind)
    return reverse(view, args=[int(number)]) if view and number.isascii() and number.isdigit() else ""


def _rows(found: Sequence[Event]) -> list[Shown]:
    groups = group_names(found)
    day = None
    rows = []
    for row in found:
        local = timezone.localtime(row.at)
        rows.append(
            {
                "number": row.pk,
                "url": reverse("auditor:event", args=[row.pk]),
                "day": f"{local:%A, %d %B %Y}" if local.date() != day else "",
                "at": f"{local:%H:%M:%S}",
                "at_iso": iso(row.at),
                "what": words.kind_label(row.kind),
                "refused": row.kind in words.REFUSED,
                "subject": words.subject_label(row.subject),
                "name": row.subject_name,
                "who": row.actor_name,
                "via": words.via_label(row.actor_via),
                "area": words.area_label(row.area),
                "group": groups.get(row.pk, ""),
            }
        )
        day = local.date()
    return rows


def _flat(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Objects within objects become `outer.inner`; at most so many."""
    if not isinstance(value, dict) or (prefix and not value):
        return [(prefix, value)] if prefix else []
    found = []
    for name in sorted(value):
        found += _flat(value[name], f"{prefix}.{name}" if prefix else name)
    return found[:FIELDS_SHOWN]


def _changes(before: Any, after: Any) -> list[Shown]:
    """One line per field: what it was and what it is; a dash where it wasn't said."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return [
        {
            "name": name,
            "before": _said(old[name]) if name in old else "–",
            "after": _said(new[name]) if name in new else "–",
            "differs": name in old and name in new and old[name] != new[name],
        }
        for name in sorted({*old, *new})
    ]


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value or "(empty)"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _is_intact(row: Event, previous: str) -> bool:
    """Whether it was written with our key after the one before it, and its columns say what its text says."""
    columns = {name: getattr(row, name) for name in canonical.FIELDS}
    try:
        link = canonical.link(settings.AUDIT_KEY, row.stream, previous, row.canonical)
        is_ours = link == row.chain or redacted.leaf(row.pk, row.chain, row.canonical) != ""
        return is_ours and canonical.read(row.canonical) == columns
    except (TypeError, ValueError):
        # Whoever changed it may have left anything.
        return False


def _redactions(row: Event) -> list[Shown]:
    """What somebody asked to have taken out of it, and what came of that."""
    return [
        {
            "number": asked.pk,
            "fields": ", ".join(asked.fields),
            "state": RedactionState(asked.state).name.lower(),
            "by": asked.requested_by_name,
            "reason": asked.reason,
            "decided_by": asked.decided_by_name,
        }
        for asked in RedactionRequest.objects.filter(event=row.pk).order_by("pk")
    ]


def _seal(found: Seal | None) -> Shown | None:
    if found is None:
        return None
    return {"number": found.number, "at": f"{timezone.localtime(found.at):%H:%M:%S}", "at_iso": iso(found.at)}
