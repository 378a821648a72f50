"""Which columns a person has on Pending or History, in which order, how wide, and how dense the rows are."""

from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.columns import ALWAYS, COLUMNS, DENSITIES, WIDTHS, Layout
from actioncenter.actions.queries import Tab
from actioncenter.web import htmx

WIDTH: Final = "width_"
SIDES: Final = {"left": -1, "right": 1}


class ColumnsForm(forms.Form):
    """`move` is "left:verdict" or "right:verdict"; what isn't sent of the widths is normal."""

    def __init__(self, tab: Tab, data: Any) -> None:
        super().__init__(data)
        self.tab = tab
        keys = COLUMNS[tab]
        self.fields["shown"] = _choices(forms.MultipleChoiceField, keys, "column of this list")
        self.fields["density"] = _choices(forms.ChoiceField, DENSITIES, "density")
        moves = [f"{side}:{key}" for key in keys for side in SIDES]
        self.fields["move"] = _choices(forms.ChoiceField, moves, "move of a column")
        for key, column in keys.items():
            if column.width:
                self.fields[f"{WIDTH}{key}"] = _choices(forms.ChoiceField, WIDTHS, "width")

    def clean(self) -> dict[str, Any]:
        strange = [name for name in self.data if name.startswith(WIDTH) and name not in self.fields]
        if strange:
            raise forms.ValidationError(f"“{strange[0][:40]}” is no width of a column of this list.")
        return self.cleaned_data

    @property
    def complaint(self) -> str:
        return str(next(iter(self.errors.values()))[0])

    def applied_to(self, layout: Layout) -> Layout:
        """Only after is_valid()."""
        sent = self.cleaned_data
        widths = {key: sent.get(f"{WIDTH}{key}") or "normal" for key in COLUMNS[self.tab]}
        wanted = Layout(
            self.tab,
            layout.order,
            ALWAYS[self.tab] | frozenset(sent["shown"]),
            {key: width for key, width in widths.items() if width != "normal"},
            sent["density"] or layout.density,
        )
        side, _, key = sent["move"].partition(":")
        return wanted.moved(key, SIDES[side]) if key in wanted.columns else wanted


def _choices(kind: type[forms.ChoiceField], values: Any, what: str) -> forms.ChoiceField:
    wrong = {"invalid_choice": f"“%(value)s” is no {what}. Nothing was changed."}
    return kind(choices=[(value, value) for value in values], required=False, error_messages=wrong)


@require_http_methods(["GET", "HEAD", "POST"])
def arrange(request: Request, tab: str) -> HttpResponse:
    if tab not in {each.value for each in Tab}:
        raise Http404
    if request.method == "POST":
        return _keep(request, Tab(tab))
    return _page(request, Tab(tab))


def _keep(request: Request, tab: Tab) -> HttpResponse:
    form = ColumnsForm(tab, {} if "usual" in request.POST else request.POST)
    if not form.is_valid():
        return _page(request, tab, error=form.complaint, status=400)
    layout = Layout.of(tab, request.user.lists)
    wanted = Layout.usual(tab) if "usual" in request.POST else form.applied_to(layout)
    move = form.cleaned_data["move"]

    def effect() -> Outcome:
        request.user.choose_lists(_kept(request.user.lists, wanted), by=actor_of(request))
        return {} if move else {"said": "Your columns are kept."}

    return once(request, effect, lambda _: redirect(_next(request, tab, move)))


def _kept(lists: dict[str, Any], wanted: Layout) -> dict[str, Any]:
    """With what is as usual left out, so that it follows when the usual changes."""
    kept = {**lists, wanted.tab.value: wanted.kept(), "density": wanted.density}
    return {name: value for name, value in kept.items() if value and value != "usual"}


def _next(request: Request, tab: Tab, move: str) -> str:
    """Back to the list, or to the button that was pressed: several moves follow each other."""
    back = _back(request, tab)
    if not move and "usual" not in request.POST:
        return back
    query = urlencode({"next": back, **({"moved": move} if move else {})})
    return f"{reverse('actions:columns', args=[tab.value])}?{query}"


def _back(request: Request, tab: Tab) -> str:
    asked = request.POST if request.method == "POST" else request.GET
    return htmx.local_path(request, asked.get("next", ""), reverse(f"actions:{tab}"))


def _page(request: Request, tab: Tab, *, error: str = "", status: int = 200) -> HttpResponse:
    layout = Layout.of(tab, request.user.lists)
    moved, among = request.GET.get("moved", ""), layout.columns
    context = {
        "tab": tab.value,
        "label": tab.value.capitalize(),
        "error": error,
        "back": _back(request, tab),
        "columns": [_row(layout, key, among, moved) for key in layout.order],
        "widths": [{"key": key, "label": key.capitalize()} for key in WIDTHS],
        "densities": [
            {"key": key, "label": label, "on": key == layout.density} for key, label in DENSITIES.items()
        ],
        "is_usual": layout.is_usual and layout.density == "usual",
    }
    return render(request, "actions/columns.html", context, status=status)


def _row(layout: Layout, key: str, among: tuple[str, ...], moved: str) -> dict[str, Any]:
    """`focus` is the button that was pressed, or the other one where it leads no further."""
    column, at = COLUMNS[layout.tab][key], among.index(key) if key in among else -1
    can = {"left": at > 0, "right": 0 <= at < len(among) - 1}
    side, _, name = moved.partition(":")
    other = "right" if side == "left" else "left"
    return {
        "key": key,
        "label": column.label,
        "shown": key in layout.shown,
        "always": key in ALWAYS[layout.tab],
        "width": layout.widths.get(key, "normal"),
        "fixed": not column.width,
        "can": can,
        "focus": (side if can.get(side) else other) if name == key else "",
    }
