"""Every target of one action, a hundred at a time: what became of it, and all of them as a file."""

from collections.abc import Sequence
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_safe

from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import words
from actioncenter.actions.enums import RUNNING, TargetState
from actioncenter.actions.exporting import FORMATS, export_targets
from actioncenter.actions.filters import TARGET_STATE_CODES, TargetFilter
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.pane import target_rows, title_of
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.queries.targets import PAGE_SIZE, Page, Targets, page
from actioncenter.actions.rows import iso
from actioncenter.actions.views.detail import page_url, visible_action
from actioncenter.actions.views.lists import FILES
from actioncenter.live.tag import action_tag
from actioncenter.web import htmx
from actioncenter.web.keyset import BadToken
from actioncenter.web.narrowing import Address, at
from actioncenter.web.refusing import refused

EMPTY: Final = {"title": "No targets", "text": "This action has none.", "url": "", "label": ""}


class TargetAddress(Address):
    """The state of the list, which lies wholly in its address."""

    def __init__(self, number: int, query: QueryDict) -> None:
        self.number, self.path = number, reverse("actions:targets", args=[number])
        self.narrowing: TargetFilter = TargetFilter(query)
        self.kept = QueryDict(mutable=True)
        for name, value in self.narrowing.chosen.items():
            self.kept[name] = value

    @property
    def asked(self) -> Targets:
        state = self.kept.get("state")
        return Targets(
            self.number, TARGET_STATE_CODES[state] if state else None, text=self.kept.get("q") or ""
        )

    def file_url(self, form: str) -> str:
        return at(reverse("actions:targets_file", args=[self.number, form]), self.kept)


@require_safe
def targets(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    action = visible_action(viewer, number)
    tag = action_tag(viewer, action, request.get_full_path())
    wanted = htmx.fragment(request)
    if wanted == "rows" and htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    address = TargetAddress(number, request.GET)
    try:
        found = page(address.asked, request.GET.get("page", ""))
    except BadToken:
        return refused(
            request, 400, "This page of the list can't be found", "Its address was changed or is too old. Start again from the first page."
        )  # fmt: skip
    context = _context(action, viewer, address, found)
    context |= {"ptag": tag, "poll_url": request.get_full_path(), "fragment": wanted}
    if wanted == "rows":
        return htmx.live(render(request, "actions/_target_table.html", context), tag)
    for complaint in address.narrowing.complaints:
        messages.warning(request, complaint)
    status = 400 if address.narrowing.complaints else 200
    return htmx.live(render(request, "actions/targets.html", context, status=status), tag)


@require_GET
def targets_file(request: Request, number: int, form: str) -> HttpResponseBase:
    """Exactly the list of that address, all its pages."""
    if form not in FORMATS:
        raise Http404
    viewer = viewer_of(request)
    visible_action(viewer, number)
    address = TargetAddress(number, request.GET)
    if address.narrowing.complaints:
        return refused(request, 400, "No file was made", " ".join(address.narrowing.complaints))
    pieces = export_targets(address.asked, form, by=actor_of(request), address=address.url())
    response = StreamingHttpResponse(pieces, content_type=FORMATS[form])
    name = f"A-{number}-targets-{viewer.now:%Y%m%d-%H%M%S}Z.{form}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _context(action: Action, viewer: Viewer, address: TargetAddress, found: Page) -> dict[str, Any]:
    counts = address.asked.counts()
    state = address.asked.state
    total = sum(counts.values()) if state is None else counts.get(state, 0)
    return {
        "number": action.pk,
        "label": action.label,
        "title": title_of(action),
        "action_url": page_url(action.pk),
        "live": action.execution in RUNNING,
        "states": _states(address, counts),
        "filter": address.narrowing,
        "chips": [chip for chip in address.chips() if chip["name"] != "state"],
        "clear_url": address.url(without=["q"]),
        "hidden_state": [("state", address.kept["state"])] if state is not None else [],
        "files": [{"label": label, "url": address.file_url(form)} for form, label in FILES.items()],
        "rows": _rows(found.rows, viewer, simulated=action.simulated),
        "page": {
            "shown_from": f"{found.first:,}",
            "shown_to": f"{found.first + len(found.rows) - 1:,}",
            "total": f"{total:,}",
            "size": PAGE_SIZE,
            "prev_url": address.url(page=found.before) if found.before else "",
            "next_url": address.url(page=found.after) if found.after else "",
        },
        "empty": address.nothing_fits("target") or EMPTY,
    }


def _states(address: TargetAddress, counts: dict[TargetState, int]) -> Sequence[dict[str, Any]]:
    """All, and each state that a target has or that was asked for."""
    chosen = address.asked.state
    states = [
        {
            "label": label,
            "count": f"{counts.get(state, 0):,}",
            "active": state is chosen,
            "url": address.url(state=code),
        }
        for state, (code, label) in words.TARGET_STATES.items()
        if state in counts or state is chosen
    ]
    every = {"label": "All", "count": f"{sum(counts.values()):,}", "active": chosen is None}
    return [every | {"url": address.url(without=["state"])}, *states]


def _rows(targets: Sequence[ActionTarget], viewer: Viewer, *, simulated: bool) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "drifted": target.drifted_at is not None,
            "changed": viewer.when(target.changed_at),
            "changed_iso": iso(target.changed_at),
        }
        for target, row in zip(targets, target_rows(targets, viewer, simulated=simulated), strict=True)
    ]
