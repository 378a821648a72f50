"""Stopping and resuming. Everybody with a role reads, everybody but an auditor stops, admins resume."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from actioncenter import turns
from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.queries import runners, stopped, switches, viewer_of
from actioncenter.live.context import counts_of
from actioncenter.live.tag import list_tag
from actioncenter.settings.enums import Role, StopKind, StopScope
from actioncenter.settings.forms import StopForm
from actioncenter.settings.models import ConnectorInstance, DeviceGroup, Stop
from actioncenter.settings.models.stops import MAY_STOP, MAY_STOP_SAID, StopError, write_stop_file
from actioncenter.web import htmx, outage
from actioncenter.web.clock import database_now
from actioncenter.web.load import load

STATUS: Final = {"file": 409, "restored": 409, "lifted": 409, "unknown": 404}
LIVE: Final = "switches"


@require_safe
def stops(request: Request) -> HttpResponse:
    if htmx.fragment(request) == LIVE:
        tag = list_tag(viewer_of(request), counts_of(request), LIVE)
        if htmx.is_current(request, tag):
            return htmx.not_modified(tag)
        return htmx.live(render(request, "settings/_switches.html", _live(request)), tag)
    return _page(request)


@require_POST
def stop(request: Request) -> HttpResponse:
    """Pull a switch; without any field, the one that stops everything.

    Its key is not looked at: pulling twice is pulling once, but a page that comes back out of a
    browser's memory after somebody resumed must stop again.
    """
    form = StopForm(request.POST)
    if not form.is_valid():
        return _page(request, error=form.complaint, status=422)
    told, viewer = form.cleaned_data, viewer_of(request)
    if viewer.rights.roles.isdisjoint(MAY_STOP):
        # The model asks again, behind the lock; the stop file is written while nobody gets there.
        raise PermissionDenied(MAY_STOP_SAID)
    if not switches.sees(viewer, told["scope"], told["value"]):
        raise Http404
    minutes = told["minutes"]
    try:
        with turns.impatient(outage.SHORT_WAIT):
            pulled = Stop.pull(
                told["kind"],
                told["scope"],
                told["value"],
                by=actor_of(request),
                reason=told["reason"],
                until=database_now() + timedelta(minutes=minutes) if minutes else None,
            )
    except StopError as error:
        return _refused(request, error)
    except OperationalError as error:
        return _by_file(request, told, error)
    messages.success(request, f"{pulled.title}. {'' if pulled.reason else 'Say why, for everybody else.'}")
    return redirect("settings:stops")


def _by_file(request: Request, told: dict[str, Any], error: OperationalError) -> HttpResponse:
    """The database is locked, perhaps by the very runner that should stop."""
    if told["kind"] != StopKind.STOP or told["scope"] != StopScope.ALL:
        raise error
    path = write_stop_file(told["reason"], by=f"{request.user.shown_name} ({request.user.username})")
    messages.warning(
        request, f"The database can't be written, so {path} was: nothing is sent while it exists."
    )
    # The time of last activity would be written now, and wait as long as any other write.
    request.session.modified = False
    return _page(request)


@require_POST
def resume(request: Request, pk: int) -> HttpResponse:
    row = load(_in_sight(request), pk)

    def effect() -> Outcome:
        lifted = row.lift(by=actor_of(request), comment=request.POST.get("comment", ""))
        return {"said": f"{row.what} is resumed." if lifted else f"{row.what} was resumed already."}

    return _answered(request, effect)


@require_POST
def explain(request: Request, pk: int) -> HttpResponse:
    row = load(_in_sight(request), pk)

    def effect() -> Outcome:
        row.explain(request.POST.get("reason", ""), by=actor_of(request))
        return {"said": "Everybody reads the reason from now on."}

    return _answered(request, effect)


def _answered(request: Request, effect: Any) -> HttpResponse:
    try:
        return once(request, effect, lambda _: redirect("settings:stops"))
    except StopError as error:
        return _refused(request, error)


def _in_sight(request: Request) -> "QuerySet[Stop]":
    viewer = viewer_of(request)
    hidden = [row.pk for row in Stop.objects.in_force() if not switches.concerns(viewer, row)]
    return Stop.objects.exclude(pk__in=hidden) if viewer.scope.areas else Stop.objects.none()


def _refused(request: Request, error: StopError) -> HttpResponse:
    if error.code == "role":
        raise PermissionDenied(str(error))
    if error.code == "unknown":
        raise Http404
    if error.code == proof.CODE:
        return proof.ask(request, back=reverse("settings:stops"), why=str(error))
    return _page(request, error=str(error), status=STATUS.get(error.code, 422))


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    viewer = viewer_of(request)
    context = {
        **_live(request),
        "error": error,
        "choices": _choices(request),
        "history": [switches.history_line(row) for row in switches.ended(viewer)],
        "can_resume": Role.ADMIN in viewer.rights.roles,
        "stops_tag": list_tag(viewer, counts_of(request), LIVE),
    }
    return render(request, "settings/stops.html", context, status=status)


def _live(request: Request) -> dict[str, Any]:
    return {
        "board": switches.board_for(viewer_of(request)),
        "runners": [switches.runner_shown(row) for row in runners.known()],
    }


def _choices(request: Request) -> list[dict[str, Any]]:
    """What can be stopped, each with how much of it is under way."""
    viewer = viewer_of(request)
    groups = DeviceGroup.objects.values_list("pk", "name")
    if viewer.scope.groups is not None:
        groups = groups.filter(pk__in=viewer.scope.groups)
    connectors = ConnectorInstance.objects.order_by("name").values_list("pk", "name")
    types = [(kind.value, entry.label) for kind, entry in CATALOGUE.items()]
    return [
        _options("Connector", StopScope.CONNECTOR, list(connectors), stopped.running_by("instance")),
        _options("Device group", StopScope.GROUP, list(groups), stopped.running_by("action__group")),
        _options("Kind of action", StopScope.TYPE, types, stopped.running_by("action__type")),
    ]


def _options(
    label: str, scope: StopScope, names: list[tuple[int, str]], running: dict[Any, int]
) -> dict[str, Any]:
    options = [
        {
            "value": f"{scope.name.lower()}{StopForm.SEPARATOR}{pk}",
            "name": name,
            "running": running.get(pk, 0),
        }
        for pk, name in names
    ]
    return {"label": label, "options": options}
