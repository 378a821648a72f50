"""Device groups and their automation level. Everybody reads, admins change."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.settings.access import scope_for
from actioncenter.settings.enums import LEVEL_LABELS, Role
from actioncenter.settings.forms import LevelForm, SeenForm
from actioncenter.settings.models import ConnectorInstance, DeviceGroup, LevelError, LevelRaise, Safeguards
from actioncenter.settings.views import shown
from actioncenter.web.load import load

CONFLICTS = frozenset({"changed", "unchanged", "ended", "author"})


@require_safe
def groups(request: Request) -> HttpResponse:
    can_edit = request.user.has_role(Role.ADMIN)
    rows = list(_visible(request).prefetch_related("rules", "access", _WAITING))
    devices = shown.device_counts(row.pk for row in rows)
    real = ConnectorInstance.reaching().exists()
    context = {
        "groups": [shown.group(row, devices.get(row.pk, 0), viewer=request.user, real=real) for row in rows],
        "levels": shown.LEVELS,
        "can_edit": can_edit,
        "moved_note": "",
    }
    return render(request, "settings/groups.html", context)


@require_safe
def group(request: Request, pk: int) -> HttpResponse:
    return _page(request, load(_visible(request), pk))


@require_POST
def level(request: Request, pk: int) -> HttpResponse:
    """Lower it at once, or ask for a raise."""
    row = load(_visible(request), pk)
    _require_admin(request)
    form = LevelForm(request.POST)
    if not form.is_valid():
        return _page(request, row, error=form.complaint, status=422)
    wanted, seen = form.cleaned_data["level"], form.cleaned_data["revision"]

    def effect() -> Outcome:
        waiting = row.change_level(
            wanted, by=actor_of(request), comment=form.cleaned_data["comment"], revision=seen
        )
        if waiting is None:
            return {"said": f"{row.name} is set to {LEVEL_LABELS[wanted]} from now on."}
        return {"said": f"Asked to raise {row.name} to {LEVEL_LABELS[wanted]}. {shown.raise_rule()}"}

    try:
        return once(request, effect, lambda _: redirect("settings:group", pk=row.pk))
    except LevelError as error:
        return _refused(request, row, error)


@require_POST
def keep_level(request: Request, pk: int) -> HttpResponse:
    """Say that it is still wanted."""
    row = load(_visible(request), pk)
    _require_admin(request)
    form = SeenForm(request.POST)
    if not form.is_valid():
        return _page(request, row, error="The form doesn't say what was seen.", status=422)

    def effect() -> Outcome:
        row.confirm_level(by=actor_of(request), revision=form.cleaned_data["revision"])
        return {"said": f"{row.name} keeps its level."}

    try:
        return once(request, effect, lambda _: redirect("settings:group", pk=row.pk))
    except LevelError as error:
        return _refused(request, row, error)


@require_POST
def confirm_level(request: Request, pk: int) -> HttpResponse:
    return _end_raise(request, pk, LevelRaise.confirm, "{group} is set to {level} from now on.")


@require_POST
def cancel_level(request: Request, pk: int) -> HttpResponse:
    return _end_raise(request, pk, LevelRaise.cancel, "The raise of {group} to {level} was cancelled.")


def _end_raise(request: Request, pk: int, end: Callable[..., None], text: str) -> HttpResponse:
    waiting = load(LevelRaise.objects.filter(group__in=_visible(request)).select_related("group"), pk)
    _require_admin(request)

    def effect() -> Outcome:
        end(waiting, by=actor_of(request))
        return {
            "said": text.format(group=waiting.group.name, level=shown.level_label(waiting.new_level)),
        }

    try:
        return once(request, effect, lambda _: redirect("settings:group", pk=waiting.group_id))
    except LevelError as error:
        return _refused(request, waiting.group, error)


_WAITING = Prefetch("raises", LevelRaise.objects.filter(ended_at__isnull=True), to_attr="waiting")


def _visible(request: Request) -> QuerySet[DeviceGroup]:
    scope = scope_for(request.user)
    rows = DeviceGroup.objects.all()
    return rows if scope.groups is None else rows.filter(pk__in=scope.groups)


def _require_admin(request: Request) -> None:
    if not request.user.has_role(Role.ADMIN):
        raise PermissionDenied("Only an admin changes an automation level.")


def _refused(request: Request, row: DeviceGroup, error: LevelError) -> HttpResponse:
    """The page as it is now, with what went wrong."""
    if error.code == "role":
        raise PermissionDenied(str(error))
    if error.code == proof.CODE:
        return proof.ask(request, back=reverse("settings:group", args=[row.pk]), why=str(error))
    status = 409 if error.code in CONFLICTS else 422
    return _page(request, load(DeviceGroup.objects.all(), row.pk), error=str(error), status=status)


def _page(request: Request, row: DeviceGroup, *, error: str = "", status: int = 200) -> HttpResponse:
    devices = shown.device_counts([row.pk])
    can_edit = request.user.has_role(Role.ADMIN)
    context: dict[str, Any] = {
        "group": shown.whole_group(row, devices.get(row.pk, 0), viewer=request.user),
        "levels": shown.LEVELS,
        "form_error": error,
        "raise_hours": Safeguards.current().raise_delay_hours,
        "can_edit": can_edit,
        "why_not": "" if can_edit else "Only an admin changes an automation level.",
        "sample_devices": shown.sample_devices(row),
    }
    return render(request, "settings/group.html", context, status=status)
