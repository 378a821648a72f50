"""How the connectors fare. Everybody with a role reads, admins change their pace and reset circuits."""

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.queries.connectors import obstacle, standings, state_of
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from actioncenter.settings.forms.connectors import kinds
from actioncenter.settings.models import ConnectorInstance, PaceError
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when
from actioncenter.web.text import age_of

Shown = dict[str, Any]
HISTORY: Final = 50
CHANGES: Final = {
    Kind.CONNECTOR_ADDED: "Added",
    Kind.CONNECTOR_CHANGED: "Changed",
    Kind.CONNECTOR_ENABLED: "Enabled",
    Kind.CONNECTOR_DISABLED: "Disabled",
    Kind.CONNECTOR_HELD: "It asked for patience",
    Kind.CONNECTOR_OPENED: "Circuit opened",
    Kind.CONNECTOR_CLOSED: "Circuit closed",
}
UNSAID: Final = frozenset({"enabled", "kind"})
"""What the text of a change says already."""


class PaceForm(forms.Form):
    max_parallel = forms.IntegerField(label="Calls at once")
    per_minute = forms.IntegerField(label="Calls per minute")
    seen = forms.RegexField(regex=r"\A\d{1,5}:\d{1,9}\Z", required=False)


@require_safe
def connectors(request: Request) -> HttpResponse:
    _require_role(request)
    return _page(request)


@require_POST
def pace(request: Request, pk: int) -> HttpResponse:
    _require_role(request)
    row = load(ConnectorInstance.objects.all(), pk)
    form = PaceForm(request.POST)
    if not form.is_valid():
        return _page(request, error="Both figures are whole numbers.", status=422)
    told = form.cleaned_data
    if told["seen"]:
        row.max_parallel, row.per_minute = (int(figure) for figure in told["seen"].split(":"))

    def change() -> str:
        changed = row.set_pace(
            max_parallel=told["max_parallel"], per_minute=told["per_minute"], by=actor_of(request)
        )
        return f"{row}: {'the new pace holds from now on' if changed else 'nothing was changed'}."

    return _once(request, change)


@require_POST
def reset(request: Request, pk: int) -> HttpResponse:
    _require_role(request)
    row = load(standings(), pk)

    def change() -> str:
        state_of(row).reset(by=actor_of(request), comment=request.POST.get("comment", ""))
        return f"{row} is called again."

    return _once(request, change)


def _once(request: Request, change: Callable[[], str]) -> HttpResponse:
    def effect() -> Outcome:
        return {"said": change()}

    try:
        return once(request, effect, lambda _: redirect("settings:connectors"))
    except PaceError as error:
        if error.code == "role":
            raise PermissionDenied(str(error)) from error
        if error.code == proof.CODE:
            return proof.ask(request, back=reverse("settings:connectors"), why=str(error))
        return _page(request, error=str(error), status=409 if error.code == "changed" else 422)


def _require_role(request: Request) -> None:
    if not viewer_of(request).scope.areas:
        raise PermissionDenied("Connectors are for people who have a role.")


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    viewer = viewer_of(request)
    context = {
        "connectors": [fares(row, viewer) for row in standings()],
        "can_edit": request.user.has_role(Role.ADMIN),
        "can_open": request.user.has_role(Role.ADMIN) or request.user.has_role(Role.AUDITOR),
        "kinds": kinds(),
        "error": error,
        "history": [_change(event) for event in _events()[:HISTORY]],
    }
    return render(request, "settings/connectors.html", context, status=status)


def fares(row: ConnectorInstance, viewer: Viewer) -> Shown:
    """How it is; `row` is one of `standings`."""
    state, now = state_of(row), timezone.now()
    found = obstacle(row, viewer.when, now)
    return {
        "pk": row.pk,
        "name": row.name,
        "kind": row.kind,
        "enabled": row.enabled,
        "simulated": row.simulated,
        "dry_run": row.dry_run,
        "well": row.health.get("ok"),
        "health": str(row.health.get("detail", "")),
        "health_age": f"{age_of(row.health_at, now)} ago" if row.health_at else "",
        "health_iso": iso(row.health_at),
        "under_way": getattr(row, "under_way", 0),
        "waiting": getattr(row, "waiting", 0),
        "max_parallel": row.max_parallel,
        "per_minute": row.per_minute,
        "seen": f"{row.max_parallel}:{row.per_minute}",
        "obstacle": found,
        "open": state.opened_at is not None,
        "opened": when(state.opened_at),
        "opened_iso": iso(state.opened_at),
        "failures": state.failures,
        "held": state.held_until is not None and state.held_until > now,
        "held_reason": state.held_reason,
        "error": state.error,
        "error_at": when(state.error_at),
        "error_iso": iso(state.error_at),
    }


def told_of(row: ConnectorInstance) -> list[Shown]:
    """What happened to this one."""
    return [_change(event) for event in _events().filter(stream=f"connector:{row.pk}")[:HISTORY]]


def _events() -> Any:
    kinds = [kind.value for kind in CHANGES]
    return Event.objects.filter(kind__in=kinds).order_by("-pk")


def _change(event: Event) -> Shown:
    before, after, detail = event.before or {}, event.after or {}, event.detail or {}
    figures = [_figure(name, before.get(name), after[name]) for name in after if name not in UNSAID]
    told = detail.get("error") or detail.get("reason") or ""
    about = ", ".join(figures) or str(told)
    return {
        "at": when(event.at),
        "at_iso": iso(event.at),
        "who": event.actor_name,
        "text": CHANGES[Kind(event.kind)],
        "about": f"{event.subject_name}: {about}" if about else event.subject_name,
        "comment": detail.get("comment", ""),
    }


def _figure(name: str, before: Any, after: Any) -> str:
    label = name.partition(".")[2] if name.startswith("settings.") else name
    was, now = map(_in_words, (before, after))
    words = label.replace("_", " ").replace(".", " ")
    return f"{words} {now}" if before is None else f"{words} {was} → {now}"


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
