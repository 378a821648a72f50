"""The health page, accepting a restored database, and the figures for Prometheus."""

import hmac
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import restoring
from actioncenter.actions.queries import Viewer, restored, viewer_of
from actioncenter.actions.queries.connectors import standings, state_of
from actioncenter.ops import metrics as figures
from actioncenter.ops.doctor import checking
from actioncenter.ops.doctor.finding import Grade
from actioncenter.settings import describing
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ConnectorInstance, Destination, Host, RestoreError
from actioncenter.settings.models.streams import newest_seal
from actioncenter.settings.views.connectors import fares
from actioncenter.settings.views.streams import stream
from actioncenter.web.moments import iso, when

READERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})
STATUS: Final = {"not_held": 409}


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever brings the token; without one in the settings there is no such page."""
    token = settings.METRICS_TOKEN
    if not token:
        raise Http404
    said = request.headers.get("Authorization", "")
    if not hmac.compare_digest(said.encode(), f"Bearer {token}".encode()):
        return HttpResponse("A token is needed.\n", status=403, content_type="text/plain")
    return HttpResponse(
        figures.exposition(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"}
    )


@require_safe
def health(request: Request) -> HttpResponse:
    return _page(request)


@require_POST
def accept_restored(request: Request) -> HttpResponse:
    _roles(request)

    def effect() -> Outcome:
        restoring.accept(by=actor_of(request), comment=request.POST.get("comment", ""))
        return {"said": "Dispatch goes on. What was under way is asked about first."}

    try:
        return once(request, effect, lambda _: redirect("ops:health"))
    except RestoreError as error:
        if error.code == "role":
            raise PermissionDenied(str(error)) from error
        if error.code == proof.CODE:
            return proof.ask(request, back=reverse("ops:health"), why=str(error))
        return _page(request, error=str(error), status=STATUS.get(error.code, 422))


def _roles(request: Request) -> frozenset[Role]:
    roles = viewer_of(request).rights.roles
    if roles.isdisjoint(READERS):
        raise PermissionDenied("Admins and auditors see this.")
    return roles


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    roles = _roles(request)
    viewer, found, newest = viewer_of(request), checking.examine(), newest_seal()
    context = {
        "error": error,
        "findings": found,
        "errors": sum(finding.grade is Grade.ERROR for finding in found),
        "restored": restored.told(),
        "advice": restored.ADVICE,
        "may_accept": Role.ADMIN in roles,
        "streams": [stream(row, newest) for row in Destination.objects.all()],
        "connectors": [_connector(row, viewer) for row in standings()],
        "hosts": [_host(row) for row in describing.heard_of()],
    }
    return render(request, "settings/health.html", context, status=status)


def _host(row: Host) -> dict[str, Any]:
    return {
        "name": str(row),
        "version": row.version,
        "skew": "" if row.skew is None else f"{row.skew:+.2f} s",
        "differs": ", ".join(describing.differing_of(row)),
        "seen": when(row.seen_at),
        "seen_iso": iso(row.seen_at),
    }


def _connector(row: ConnectorInstance, viewer: Viewer) -> dict[str, Any]:
    at = state_of(row).answered_at
    return {**fares(row, viewer), "answered": viewer.when(at) if at else "", "answered_iso": iso(at)}
