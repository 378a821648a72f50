"""Pending and History: one view, one context, the whole page or a fragment of it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.actions.enums import Execution
from actioncenter.actions.permissions import PROPOSERS, Rights
from actioncenter.actions.queries import (
    ListCounts,
    Page,
    RawRow,
    Tab,
    Viewer,
    list_counts,
    page,
    viewer_of,
)
from actioncenter.actions.queries.connectors import Obstacle, told
from actioncenter.actions.queries.together import together
from actioncenter.actions.rows import Row, rows_of
from actioncenter.actions.views.detail import pane_context, pane_response, tag_beside, visible_action
from actioncenter.actions.views.groups import grouped
from actioncenter.actions.views.refusing import refused
from actioncenter.actions.views.saved import ROLES, views_beside
from actioncenter.actions.views.state import SIZES, ListState
from actioncenter.audit import sealing
from actioncenter.guide.documents import address_of
from actioncenter.live.context import counts_of
from actioncenter.live.tag import list_tag
from actioncenter.settings.enums import Role
from actioncenter.web import htmx
from actioncenter.web.keyset import BadToken

DECIDERS: Final = frozenset({Role.RESPONDER, Role.EMAIL_RESPONDER, Role.ADMIN})
CAPPED: Final = "10,000+"
FILES: Final = {"csv": "CSV, for spreadsheets", "jsonl": "JSON lines, for programs"}


@require_safe
def pending(request: HttpRequest) -> HttpResponse:
    return listed(request, Tab.PENDING)


@require_safe
def history(request: HttpRequest) -> HttpResponse:
    return listed(request, Tab.HISTORY)


def listed(
    request: HttpRequest,
    tab: Tab,
    *,
    query: QueryDict | None = None,
    results: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """The list in the state of `query` (that of the request unless given)."""
    viewer, wanted = viewer_of(request), htmx.fragment(request)
    if wanted == "rows" and htmx.is_current(request, tag := _tag(request, tab, request.get_full_path())):
        # A page asks at the very address of its stamp, so nothing of it has to be understood first.
        return htmx.not_modified(tag)
    try:
        state = ListState(tab=tab, query=query if query is not None else request.GET, viewer=viewer)
        if wanted == "pane" and state.open is not None:
            return pane_response(request, state)
        return _list_response(request, state, wanted, results)
    except BadToken:
        return refused(
            request, 400, "This page of the list can't be found", "Its address was changed or is too old. Start again from the first page."
        )  # fmt: skip


def _tag(request: HttpRequest, tab: Tab, address: str) -> str:
    return list_tag(viewer_of(request), counts_of(request), address, sealed=tab is Tab.HISTORY)


def _list_response(
    request: HttpRequest, state: ListState, wanted: str, results: Mapping[str, Any] | None
) -> HttpResponse:
    tag = _tag(request, state.tab, state.here())
    if wanted == "rows":
        if htmx.is_current(request, tag):
            return htmx.not_modified(tag)
        context = {**rows_context(request, state, tag), "fragment": "rows"}
        return htmx.live(render(request, "actions/_table.html", context), tag)
    # A sort that is too dear is no mistake of the address; anything else to complain about is.
    status = 400 if state.complaints else 200
    context = rows_context(request, state, tag)
    for complaint in state.complaints:
        messages.warning(request, complaint)
    context |= {**_bar_context(state), "action": None, "results": results}
    if state.open is not None:
        action = visible_action(state.viewer, state.open)
        context |= pane_context(state, action, tag_beside(state, action), numbers=context["numbers"])
    context["fragment"] = ""
    return htmx.live(render(request, "actions/list.html", context, status=status), tag)


def rows_context(request: HttpRequest, state: ListState, tag: str) -> dict[str, Any]:
    """What the table and its foot show."""
    viewer, live = state.viewer, counts_of(request)
    counts = list_counts(state.listing)
    found = page(state.listing, counts)
    if found.refused_sort:
        state.complaints.append(
            "Too many rows to sort them that way. Narrow the list first; the usual order is shown."
        )
    history, opener = state.tab is Tab.HISTORY, state.opener()
    unsealed = _unsealed([raw.id for raws in found.in_order for raw in raws]) if history else None

    def shown(raws: Sequence[RawRow]) -> list[Row]:
        waits = _waits(raws, viewer)
        return rows_of(
            raws, viewer, opener, history=history, extras=state.layout.extras, waits=waits, unsealed=unsealed
        )

    bands, rows = [shown(band) for band in found.bands], shown(found.rows)
    groups = grouped(state, found, counts, bands, rows)
    return {
        "tab": state.tab.value,
        "groups": groups,
        "together": _together(state),
        "numbers": [row["number"] for group in groups for row in group["rows"]],
        "counts": {"pending": live.pending, "history": _shown(counts.history), "running": live.running},
        "sort": {"key": found.sort.key, "direction": "desc" if found.sort.down else "asc"},
        "sort_links": state.sort_links(state.layout.columns),
        "page": _page_context(state, found, counts, bands),
        "selected": state.open,
        "ptag": tag,
        "can_decide_any": can_decide_any(viewer.rights),
        "list_url": state.here(),
        "columns": state.layout.columns,
        "heads": state.layout.heads(),
        "spans": state.layout.spans(),
        "table_css": state.layout.css(),
        "idempotency_key": uuid4().hex,
        "empty": _empty(state),
        "updated": f"{viewer.local(viewer.now):%H:%M:%S}",
    }


def _together(state: ListState) -> Mapping[str, int] | None:
    """How far everything of one approval is, where the list is narrowed to it."""
    approval = state.narrowing.criteria.get("approval")
    found = together(approval, state.viewer.scope) if approval else None
    if found is None or found.total < 2:
        return None
    return {**found._asdict(), "short": found.over - found.succeeded}


def _waits(rows: Sequence[RawRow], viewer: Viewer) -> Mapping[int, Sequence[Obstacle]]:
    """What stands in the way of those that run or are queued."""
    live = [raw.id for raw in rows if raw.execution in (Execution.QUEUED, Execution.IN_PROGRESS)]
    return told(live, viewer.when, viewer.now)


def _unsealed(numbers: Sequence[int]) -> Collection[int]:
    """Those of these actions of which some event waits for a seal."""
    streams = {f"action:{number}": number for number in numbers}
    return {streams[stream] for stream in sealing.waiting(streams).values()}


def can_decide_any(rights: Rights) -> bool:
    """Whether lists offer boxes to tick at all."""
    return bool(rights.roles & DECIDERS)


def _bar_context(state: ListState) -> dict[str, Any]:
    return {
        "filter": state.narrowing,
        "chips": state.chips(),
        "clear_url": state.clear_url,
        "hidden_state": state.filter_state(),
        "hidden_range": state.range_state(),
        "range": state.range(),
        "columns_url": state.columns_url,
        "views": [*_views(state), *views_beside(state)],
        "save": {
            "tab": state.tab.value,
            "query": state.laid_out,
            "roles": ROLES if _may_share(state) else [],
        },
        "files": [{"label": label, "url": state.file_url(form)} for form, label in FILES.items()],
        "poll_url": state.here(),
        "comment_required_for": ["undo"] if state.tab is Tab.HISTORY else ["reject"],
    }


def _may_share(state: ListState) -> bool:
    return bool(state.viewer.rights.roles & PROPOSERS)


def _views(state: ListState) -> list[dict[str, Any]]:
    """Ready-made filters; the one in force is marked."""
    offered = {
        Tab.PENDING: [
            ("All", {}),
            ("Malicious", {"verdict": "malicious"}),
            ("Suspicious", {"verdict": "suspicious"}),
            ("Expiring next", {"due": "shift"}),
            ("Handed to me", {"assigned": str(state.viewer.user.pk)}),
        ],
        Tab.HISTORY: [
            ("All", {}),
            ("Decided by me", {"by": str(state.viewer.user.pk)}),
            ("Automation", {"by": "automation"}),
            ("Failed", {"result": "failed"}),
            ("Undone", {"result": "undone"}),
        ],
    }[state.tab]  # fmt: skip
    names = list(state.narrowing.chosen)
    now = {name: state.query.get(name) for name in names}
    return [
        {"label": label, "count": None, "active": now == chosen, "url": state.url(without=names, **chosen)}
        for label, chosen in offered
    ]


def _page_context(
    state: ListState, found: Page, counts: ListCounts, bands: Sequence[Sequence[Row]]
) -> dict[str, Any]:
    above = sum(map(len, bands))
    total = counts.total + sum(counts.bands)
    last = found.first + len(found.rows) - 1
    return {
        "next_url": state.page_url(found.after),
        "prev_url": state.page_url(found.before),
        "shown_from": f"{found.first if found.rows or above else 0:,}",
        "shown_to": f"{last + above if found.first == 1 else last:,}",
        "total_label": CAPPED if counts.capped and state.tab is Tab.HISTORY else f"{total:,}",
        "size": state.size,
        "sizes": [{"rows": size, "url": state.size_url(size), "on": size == state.size} for size in SIZES],
    }


def _shown(history: int) -> str:
    return CAPPED if history > 10_000 else f"{history:,}"


def _empty(state: ListState) -> dict[str, str]:
    if nothing := state.nothing_fits("action"):
        return nothing
    if state.tab is Tab.PENDING:
        return {
            "title": "Nothing waits",
            "text": "What a finding calls for and no rule lets run by itself will wait here for a decision, as will what somebody "
            "proposes by hand. What runs and what was done is in History.",
            "url": address_of("intake"),
            "label": "How findings come in",
        }
    return {
        "title": "No history yet",
        "text": "What is decided, what runs and how it ended will stand here, from the first decision on, or from the first "
        "action that its group's level lets run by itself.",
        "url": reverse("actions:pending"),
        "label": "See what waits",
    }
