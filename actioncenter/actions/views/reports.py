"""Reports: how long decisions took and what became of them, as a page and as a file."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.exporting import export_figures
from actioncenter.actions.filters import DEFAULT_PERIOD, ReportFilter
from actioncenter.actions.passing import passing
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.queries.hasty import hasty
from actioncenter.actions.queries.reports import COUNTED, Asked, By, figures
from actioncenter.actions.reporting import HEAD, SPLITS, Report, cards, lines, tiles
from actioncenter.actions.views.refusing import refused
from actioncenter.settings.enums import Role
from actioncenter.web.narrowing import Address, at
from actioncenter.web.sheets import csv_file

SEE_EACH: frozenset[Role] = frozenset({Role.ADMIN, Role.AUDITOR})
"""Who sees the figures of single people; others see their own, and everybody else's together."""
EMPTY = {
    "title": "Nothing has ended in this time",
    "text": "What was decided, expired or carried out in it will be counted here: how long that took, what was "
    "rejected, and what was undone afterwards.",
}


class ReportState(Address):
    """What a report's address says; what of it was ignored is among its complaints."""

    def __init__(self, query: QueryDict, viewer: Viewer) -> None:
        self.path = reverse("actions:reports")
        self.viewer = viewer
        self.narrowing: ReportFilter = ReportFilter(query, viewer=viewer)
        self.complaints = self.narrowing.complaints
        self.by = self._by(query.get("by", ""))
        self.kept = QueryDict(mutable=True)
        for name in self.narrowing.chosen:
            self.kept[name] = self.narrowing.data.get(name, "")
        if "first" in self.kept or "last" in self.kept:
            # A day means something only with its zone, also to whoever gets this address.
            self.kept["zone"] = self.narrowing.zone_shown.key
        if self.by is not By.TYPE:
            self.kept["by"] = self.by.value

    def _by(self, text: str) -> By:
        if text and text not in set(SPLITS):
            self.complaints.append("By: A report is split by type, group or person; it is shown by type.")
            return By.TYPE
        return By(text or By.TYPE)

    @property
    def asked(self) -> Asked:
        since, until = self.narrowing.period
        viewer = self.viewer
        return Asked(
            scope=viewer.scope,
            since=since,
            until=until,
            me=viewer.user.pk,
            each_person=bool(viewer.rights.roles & SEE_EACH),
            zone=self.narrowing.zone_shown,
            group=int(self.narrowing.chosen["group"]) if "group" in self.narrowing.chosen else None,
        )

    @property
    def file_url(self) -> str:
        return at(reverse("actions:reports_file"), self.kept, without=["by"])

    @property
    def bounds(self) -> str:
        since, until = (moment.astimezone(self.narrowing.zone_shown) for moment in self.narrowing.period)
        return f"{since:%d %b %Y %H:%M} to {until:%d %b %Y %H:%M}, {self.narrowing.zone_shown.key}"

    def hidden(self, *names: str) -> list[tuple[str, str]]:
        return [(name, str(self.kept[name])) for name in names if name in self.kept]


@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    viewer = viewer_of(request)
    state = ReportState(request.GET, viewer)
    for complaint in state.complaints:
        messages.warning(request, complaint)
    report = _report(state, [state.by, By.STEP])
    context = {
        **_bar(state),
        "empty": {**EMPTY, "url": _usual(state), "label": "The past 30 days of all groups"},
        "empty_icon": "report",
        "cards": [],
        "tiles": [],
    }
    if report.figures:
        whole = report.whole
        context |= {"tiles": tiles(report), "passing": passing(report), "cards": cards(report, state.by)}
        if whole.capped and whole.oldest:
            context |= {"counted": COUNTED, "back_to": f"{viewer.local(whole.oldest):%d %b %Y %H:%M}"}
    return render(request, "actions/reports.html", context, status=400 if state.complaints else 200)


def _bar(state: ReportState) -> dict[str, Any]:
    return {
        "periods": _choices(state, "since"),
        "groups": _choices(state, "group"),
        "since": state.kept.get("since", ""),
        "days": {name: state.kept.get(name, "") for name in ("first", "last")},
        "group": state.kept.get("group", ""),
        "hidden_days": state.hidden("first", "last", "zone", "by"),
        "hidden_rest": state.hidden("zone", "group", "by"),
        "clear_group": state.url(without=["group"]) if "group" in state.kept else "",
        "bounds": state.bounds,
        "file_url": state.file_url,
        "tabs": [
            {"label": f"By {word}", "url": _split_url(state, by), "on": by is state.by}
            for by, word in SPLITS.items()
        ],
    }


def _choices(state: ReportState, name: str) -> list[tuple[str, str]]:
    return [(str(value), str(label)) for value, label in state.narrowing.form.fields[name].choices]


def _usual(state: ReportState) -> str:
    """Where more may be; empty where this is that already."""
    url = state.url(without=["since", "first", "last", "zone", "group"])
    chosen = state.narrowing.chosen
    return "" if chosen == {"since": DEFAULT_PERIOD} else url


def _split_url(state: ReportState, by: By) -> str:
    return state.url(without=["by"], **({} if by is By.TYPE else {"by": by.value}))


def _report(state: ReportState, splits: list[By]) -> Report:
    asked = state.asked
    mine, team = hasty(asked, state.viewer.now)
    return Report(asked, figures(asked, splits), mine, team)


@require_safe
def reports_file(request: Request) -> HttpResponse:
    """Everything that the page can show. A filter that means nothing is no file, rather than a wrong one."""
    viewer = viewer_of(request)
    state = ReportState(request.GET, viewer)
    if state.complaints:
        return refused(request, 400, "No file was made", " ".join(state.complaints))
    report = _report(state, list(By))
    text = export_figures(HEAD, lines(report), by=actor_of(request), address=state.url())
    return csv_file(f"reports-{viewer.now:%Y%m%d-%H%M%S}Z.csv", text)
