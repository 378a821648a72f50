"""Saved views: made beside a list, kept in order on a page of their own."""

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import SavedView
from actioncenter.actions.models.saved import LONGEST_NAME, LONGEST_QUERY
from actioncenter.actions.permissions import PROPOSERS, ROLE_WORDS
from actioncenter.actions.queries import Tab, Viewer, viewer_of
from actioncenter.actions.queries.counts import HISTORY_CAP, count_all
from actioncenter.actions.views.state import ListState
from actioncenter.actions.views.telling import told_once
from actioncenter.settings.enums import Role
from actioncenter.web.keyset import BadToken
from actioncenter.web.load import load
from actioncenter.web.refusing import refused

SHOWN: Final = 12
"""Saved views beside a list; the others are on their page."""
LISTED: Final = 100
"""On their page; each is counted."""
ROLES: Final = [
    (str(int(role)), f"Every {ROLE_WORDS[role.name.lower()].lower()}") for role in sorted(PROPOSERS)
]


class NameForm(forms.Form):
    name = forms.CharField(max_length=LONGEST_NAME, strip=True)


class SaveForm(NameForm):
    tab = forms.ChoiceField(choices=[(tab.value, tab.value) for tab in Tab])
    query = forms.CharField(max_length=LONGEST_QUERY, required=False, strip=False)
    shared_with = forms.TypedChoiceField(
        choices=[("", "Only me"), *ROLES], required=False, coerce=int, empty_value=None
    )


@require_safe
def saved_views(request: Request) -> HttpResponse:
    return _page(request)


@require_POST
def save(request: Request) -> HttpResponse:
    form = SaveForm(request.POST)
    if not form.is_valid():
        return refused(request, 400, "Not saved", "Give the view a name of at most 60 characters.")
    asked = form.cleaned_data
    state = state_of(viewer_of(request), asked["tab"], asked["query"])
    if state is None:
        return refused(request, 400, "Not saved", "This list has a filter that means nothing here.")
    role = Role(asked["shared_with"]) if asked["shared_with"] is not None else None

    def effect() -> str:
        query = state.kept.urlencode()
        made = SavedView.keep(
            asked["name"], tab=asked["tab"], query=query, shared_with=role, by=actor_of(request)
        )
        return f"{made.name} is among your views."

    return _do(request, effect, state.url())


@require_POST
def rename(request: Request, pk: int) -> HttpResponse:
    view, form = load(SavedView.objects.filter(owner=request.user.pk), pk), NameForm(request.POST)
    if not form.is_valid():
        return _page(request, error="Give it a name of at most 60 characters.", status=400)

    def effect() -> str:
        view.rename(form.cleaned_data["name"], by=actor_of(request))
        return f"It is called {view.name} now."

    return _do(request, effect, "actions:saved_views")


@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    view = SavedView(pk=pk)

    def effect() -> str:
        view.remove(by=actor_of(request))
        return "The view is deleted. The actions in it are as they were."

    return _do(request, effect, "actions:saved_views")


def _do(request: Request, change: Callable[[], str], url: str) -> HttpResponse:
    def again(error: str) -> HttpResponse:
        return _page(request, error=error, status=422)

    return told_once(request, change, way=lambda: redirect(url), again=again)


def state_of(viewer: Viewer, tab: str, query: str) -> ListState | None:
    """None where it means nothing to this person, a group that they can't see among it."""
    try:
        state = ListState(tab=Tab(tab), query=QueryDict(query), viewer=viewer)
    except (BadToken, ValueError):
        return None
    return None if state.complaints else state


def views_beside(state: ListState) -> list[dict[str, Any]]:
    """For the bar above a list, counted in one statement."""
    rows = SavedView.objects.shown_to(state.viewer.user.pk, state.viewer.rights.roles)
    return _told(state.viewer, rows.filter(tab=state.tab.value)[:SHOWN], here=state.kept)


def _told(viewer: Viewer, rows: Any, *, here: QueryDict | None = None) -> list[dict[str, Any]]:
    states = [(row, state) for row in rows if (state := state_of(viewer, row.tab, row.query))]
    counts = count_all([state.listing for _, state in states])
    return [
        {
            **_named(row, viewer),
            "count": f"{HISTORY_CAP:,}+" if count > HISTORY_CAP else f"{count:,}",
            "active": here is not None and state.kept == here,
            "url": state.url(),
        }
        for (row, state), count in zip(states, counts, strict=True)
    ]


def _named(row: SavedView, viewer: Viewer) -> dict[str, Any]:
    return {
        "pk": row.pk,
        "label": row.name,
        "tab": row.tab,
        "own": row.owner_id == viewer.user.pk,
        "owner": row.owner_name,
        "shared": dict(ROLES).get(str(row.shared_with), ""),
    }


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    viewer = viewer_of(request)
    is_admin = Role.ADMIN in viewer.rights.roles
    rows = list(
        SavedView.objects.kept_by(viewer.user.pk, viewer.rights.roles).select_related("owner")[:LISTED]
    )
    counted = {view["pk"]: view for view in _told(viewer, rows)}
    context = {
        # An admin reads of those that mean nothing to them too: nobody else may be left to delete them.
        "views": [
            {**(counted.get(row.pk) or _named(row, viewer)), "left": not row.owner.is_active}
            for row in rows
            if is_admin or row.pk in counted
        ],
        "can_delete_any": is_admin,
        "error": error,
        "longest": LONGEST_NAME,
    }
    return render(request, "actions/saved.html", context, status=status)
