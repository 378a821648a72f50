"""Who comes in, and what the lists of both logs have in common."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import render

from actioncenter.accounts.request import Request
from actioncenter.actions.views.refusing import refused
from actioncenter.audit.indexing import TAIL
from actioncenter.auditor.filters import LogFilter
from actioncenter.auditor.walking import LOOKED_AT, Page
from actioncenter.settings.enums import Role
from actioncenter.web.keyset import BadToken, seal, unseal
from actioncenter.web.narrowing import Address

MAY_READ: Final = frozenset({Role.AUDITOR, Role.ADMIN})
P = ParamSpec("P")


def auditors(view: Callable[Concatenate[Request, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """403 for everybody else: the log tells of every group."""

    @wraps(view)
    def guarded(request: Request, *args: P.args, **more: P.kwargs) -> HttpResponse:
        if request.user.roles.isdisjoint(MAY_READ):
            raise PermissionDenied("The audit log is read by auditors and admins.")
        return view(request, *args, **more)

    return guarded


class LogAddress(Address):
    def __init__(self, path: str, narrowing: LogFilter) -> None:
        self.path = path
        self.narrowing: LogFilter = narrowing
        self.kept = QueryDict(mutable=True)
        for name in narrowing.chosen:
            self.kept[name] = narrowing.data.get(name, "")

    def context(self, found: Page, token: str, *, one: str, empty: Mapping[str, str]) -> dict[str, Any]:
        """What filters, foot and an empty list need; `token` led to this page, `one` is what a row is."""
        return {
            "filter": self.narrowing,
            "chips": self.chips(),
            "clear_url": self.clear_url,
            "hidden_state": [(name, self.kept[name]) for name in self.narrowing.linked if name in self.kept],
            "one": one,
            "next_url": self.url(page=seal(found.after)) if found.after else "",
            "first_url": self.url() if token else "",
            "looked_back_to": found.looked_back_to,
            "looked_at": LOOKED_AT,
            "behind": _behind(found.behind),
            "empty": self.nothing_fits(one) or empty,
        }


def listed(
    request: Request,
    narrowing: LogFilter,
    look: Callable[[Any], Page],
    rows: Callable[[Any], list[dict[str, Any]]],
    *,
    tab: str,
    one: str,
    empty: Mapping[str, str],
    left_out: str = "",
) -> HttpResponse:
    """The list of a log: `look` gives the page at a position, None for the newest; `rows` is what its template shows.

    `left_out` says what a search didn't look at.
    """
    token = request.GET.get("page", "")
    try:
        found = look(unseal(token) if token else None)
    except BadToken:
        return refused(
            request, 400, "This page of the list can't be found", "Its address was changed or is too old. Start again from the newest."
        )  # fmt: skip
    for complaint in narrowing.complaints:
        messages.warning(request, complaint)
    address = LogAddress(request.path, narrowing)
    context = {
        **address.context(found, token, one=one, empty=empty),
        "tab": tab,
        "rows": rows(found.rows),
        "left_out": left_out,
    }
    return render(request, f"auditor/{tab}.html", context, status=400 if narrowing.complaints else 200)


def _behind(events: int) -> str:
    """What the page says of an index of words that isn't up to date; empty for one that is."""
    if events > TAIL:
        return "The index of words is not up to date; without it events are looked through one by one."
    if events:
        return f"Not in the index of words yet, looked through one by one: the newest {events}."
    return ""
