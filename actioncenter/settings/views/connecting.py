"""One connector: added, set, tried, enabled. Admins change it, auditors read it, for others there is no such page."""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import ConnectorJob
from actioncenter.actions.queries import runners, viewer_of
from actioncenter.actions.queries.connectors import standings
from actioncenter.settings.access import scope_for
from actioncenter.settings.enums import Role
from actioncenter.settings.forms.connectors import ConnectorForm, described, kinds, secrets_of
from actioncenter.settings.models import ConnectorInstance, DeviceGroup, PaceError
from actioncenter.settings.models.authority import has_proved
from actioncenter.settings.models.connectors import CHANGED
from actioncenter.settings.views.connectors import fares, told_of
from actioncenter.web import htmx
from actioncenter.web.load import load

Shown = dict[str, Any]
Page = Callable[..., HttpResponse]
CONFLICTS: Final = frozenset({"changed"})


@require_safe
def connector(request: Request, pk: int) -> HttpResponse:
    _require_reader(request)
    return _page(request, load(standings(), pk))


@require_http_methods(["GET", "HEAD", "POST"])
def add_connector(request: Request, kind: str) -> HttpResponse:
    _require_reader(request)
    labels = dict(kinds())
    if kind not in labels:
        raise Http404
    if _only_reads(request):
        return redirect("settings:connectors")
    here = reverse("settings:add_connector", args=[kind])
    form = ConnectorForm(request.POST or None, kind=kind, groups=_groups(request))
    if request.method != "POST":
        return _proved(request, here) or _form_page(request, form, labels[kind])
    if not form.is_valid():
        return _form_page(request, form, labels[kind], status=422)

    def effect() -> Outcome:
        told = form.cleaned_data
        made = ConnectorInstance.add(
            kind, told["name"], form.options, by=actor_of(request), simulated=form.kind.SIMULATED,
            priority=told["priority"], groups=form.chosen, secret=form.secret,
        )  # fmt: skip
        return {"said": f"{made} is added. Nothing uses it before it is enabled.", "pk": made.pk}

    return _formed(request, form, labels[kind], effect, here)


@require_http_methods(["GET", "HEAD", "POST"])
def edit_connector(request: Request, pk: int) -> HttpResponse:
    _require_reader(request)
    row = load(ConnectorInstance.objects.all(), pk)
    if _only_reads(request):
        return redirect("settings:connector", pk=row.pk)
    label = dict(kinds()).get(row.kind)
    if label is None:
        raise Http404
    here = reverse("settings:edit_connector", args=[pk])
    seen = _groups(request)
    form = ConnectorForm(request.POST or None, kind=row.kind, groups=seen, instance=row)
    if request.method != "POST":
        return _proved(request, here) or _form_page(request, form, label)
    if not form.is_valid():
        return _form_page(request, form, label, status=422)

    def effect() -> Outcome:
        told = form.cleaned_data
        # Where secrets may go was judged against this very row.
        if (told["revision"] or 0) != row.revision:
            raise PaceError("changed", CHANGED)
        hidden = row.groups.exclude(pk__in=seen.values("pk"))
        changed = row.configure(
            revision=row.revision, name=told["name"], priority=told["priority"], options=form.options,
            groups=[*form.chosen, *hidden], secret=form.secret, by=actor_of(request),
        )  # fmt: skip
        said = "is changed. Test it: what the last check said was of other settings." if changed else ""
        return {"said": f"{told['name']} {said or 'stays as it was.'}", "pk": row.pk}

    return _formed(request, form, label, effect, here)


@require_POST
def switch_connector(request: Request, pk: int) -> HttpResponse:
    """Enable or disable it; the first that reaches real systems leads on to the levels of the groups."""

    def change(row: ConnectorInstance) -> Outcome:
        by = actor_of(request)
        if request.POST.get("to") != "on":
            row.disable(by=by)
            return {"said": f"{row} is disabled. What was sent goes on being asked for."}
        lowered = row.enable(by=by)
        levels = (
            f" Set to Semi – all folders until you confirm a level: {', '.join(lowered)}." if lowered else ""
        )
        return {"said": f"{row} is enabled.{levels}", "lowered": bool(lowered)}

    return _changed(request, pk, change)


@require_POST
def rehearse_connector(request: Request, pk: int) -> HttpResponse:
    def change(row: ConnectorInstance) -> Outcome:
        on = request.POST.get("to") == "on"
        row.rehearse(on=on, by=actor_of(request))
        told = "only says what it would do from now on" if on else "does what is decided from now on"
        return {"said": f"{row} {told}."}

    return _changed(request, pk, change)


@require_POST
def check_connector(request: Request, pk: int) -> HttpResponse:
    def change(row: ConnectorInstance) -> Outcome:
        new = ConnectorJob.request_check(row, by=actor_of(request))
        return {"said": f"{row} is being checked." if new else f"A check of {row} is under way already."}

    return _changed(request, pk, change)


def _changed(request: Request, pk: int, change: Callable[[ConnectorInstance], Outcome]) -> HttpResponse:
    _require_admin(request)
    row = load(standings(), pk)
    here = reverse("settings:connector", args=[pk])

    def follow(outcome: Outcome) -> HttpResponse:
        return redirect("settings:groups" if outcome.get("lowered") else here)

    try:
        return once(request, lambda: change(row), follow)
    except PaceError as error:
        return _refused(request, error, here, lambda **more: _page(request, row, **more))


def _formed(
    request: Request, form: ConnectorForm, label: str, effect: Callable[[], Outcome], here: str
) -> HttpResponse:
    try:
        return once(request, effect, lambda outcome: redirect("settings:connector", pk=outcome["pk"]))
    except PaceError as error:
        if error.code in form.fields:
            form.add_error(error.code, str(error))
            return _form_page(request, form, label, status=422)
        return _refused(request, error, here, lambda **more: _form_page(request, form, label, **more))


def _refused(request: Request, error: PaceError, here: str, page: Page) -> HttpResponse:
    if error.code == "role":
        raise PermissionDenied(str(error)) from error
    if error.code == proof.CODE:
        return proof.ask(request, back=here, why=str(error))
    return page(error=str(error), status=409 if error.code in CONFLICTS else 422)


def _proved(request: Request, here: str) -> HttpResponse | None:
    """Ask before the form is filled in: what is typed would be lost by asking afterwards."""
    return None if has_proved(actor_of(request)) else proof.ask(request, back=here)


def _require_reader(request: Request) -> None:
    if not (request.user.has_role(Role.ADMIN) or request.user.has_role(Role.AUDITOR)):
        raise Http404


def _require_admin(request: Request) -> None:
    _require_reader(request)
    if not request.user.has_role(Role.ADMIN):
        raise PermissionDenied("Only an admin changes connectors.")


def _only_reads(request: Request) -> bool:
    """An auditor who followed a link to a form goes where it can be read. Raises PermissionDenied for a change."""
    if request.method == "POST":
        _require_admin(request)
    return not request.user.has_role(Role.ADMIN)


def _groups(request: Request) -> QuerySet[DeviceGroup]:
    scope = scope_for(request.user)
    rows = DeviceGroup.objects.all()
    return rows if scope.groups is None else rows.filter(pk__in=scope.groups)


def _form_page(
    request: Request, form: ConnectorForm, label: str, *, error: str = "", status: int = 200
) -> HttpResponse:
    context = {"form": form, "row": form.instance, "label": label, "error": error, **form.sections}
    return render(request, "settings/connector_form.html", context, status=status)


def _page(request: Request, row: ConnectorInstance, *, error: str = "", status: int = 200) -> HttpResponse:
    asked = ConnectorJob.checks_of(row.pk).order_by("-pk").first()
    alone = not runners.present().exists()
    state = fares(row, viewer_of(request))
    tag = _tag(state, row.dry_run, asked and (asked.pk, asked.state), alone)
    wanted = htmx.fragment(request)
    if wanted and htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    context = {
        "connector": state,
        "can_edit": request.user.has_role(Role.ADMIN),
        "asked": asked,
        "alone": alone,
        "facts": row.health.get("facts") or {},
        "error": error,
        "ptag": tag,
        **({} if wanted else _settings(request, row)),
    }
    template = "settings/_connector_check.html" if wanted else "settings/connector.html"
    return htmx.live(render(request, template, context, status=status), tag)


def _settings(request: Request, row: ConnectorInstance) -> Shown:
    visible = {group.pk for group in _groups(request)}
    groups = list(row.groups.all())
    first = not row.simulated and not row.enabled and not ConnectorInstance.reaching().exists()
    return {
        "options": described(row),
        "secrets": secrets_of(row),
        "scope": [group.name for group in groups if group.pk in visible],
        "hidden_groups": sum(group.pk not in visible for group in groups),
        "priority": row.priority,
        "editable": row.kind in dict(kinds()),
        "to_lower": [group.name for group in DeviceGroup.unconfirmed_at_full()] if first else [],
        "history": told_of(row),
    }


def _tag(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
