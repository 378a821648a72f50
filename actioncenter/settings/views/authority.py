"""Who may decide: the rules in force as a table and as a file."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.queries.authority import Line, Matrix, matrix
from actioncenter.actions.words import RISKS
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.settings.access import scope_for
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel, Role
from actioncenter.settings.models import DeviceGroup
from actioncenter.web.load import LARGEST
from actioncenter.web.sheets import as_csv, csv_file

ROLES: Final[Mapping[Role, str]] = {
    Role.AUDITOR: "Auditor",
    Role.ANALYST: "Analyst",
    Role.RESPONDER: "Responder",
    Role.EMAIL_RESPONDER: "Email responder",
    Role.ADMIN: "Admin",
}
NO_GROUP: Final = "no device group"
HEAD: Final = (
    "version", "role", "action", "device group", "risk", "may decide", "may propose", "approvals", "rejections",
    "second person", "password again", "proposer may approve", "comment to approve", "comment to reject",
    "comment to undo", "answer within minutes", "expires after days",
)  # fmt: skip


@require_safe
def authority(request: Request) -> HttpResponse:
    """One group at a time, and what belongs to none."""
    groups = list(_visible(request))
    chosen = _chosen(request, groups)
    whole = matrix(groups)
    lines = [line for line in whole.lines if line.group_id in (None, chosen.pk if chosen else None)]
    context = {
        "version": whole.version,
        "groups": [{"pk": row.pk, "name": row.name, "on": row == chosen} for row in groups],
        "level_code": chosen.level if chosen else None,
        "level_label": LEVEL_LABELS[AutomationLevel(chosen.level)] if chosen else "",
        "access": _access(chosen),
        "device_lines": [_shown(line) for line in lines if line.group_id is not None],
        "other_lines": [_shown(line) for line in lines if line.group_id is None],
        "note": _note(whole),
    }
    return render(request, "settings/authority.html", context)


@require_safe
def authority_file(request: Request) -> HttpResponse:
    whole = matrix(_visible(request))
    with transaction.atomic():
        log.record(
            Kind.EXPORT_MADE,
            by=actor_of(request),
            subject="authority",
            detail={"what": "who may decide", "version": whole.version, "lines": len(whole.lines)},
        )
    return csv_file(f"who-may-decide-{whole.version}.csv", as_csv(HEAD, _cells(whole)))


def _visible(request: Request) -> QuerySet[DeviceGroup]:
    scope = scope_for(request.user)
    if not scope.areas:
        raise PermissionDenied("This needs a role.")
    rows = DeviceGroup.objects.all()
    return rows if scope.groups is None else rows.filter(pk__in=scope.groups)


def _chosen(request: Request, groups: list[DeviceGroup]) -> DeviceGroup | None:
    """The group asked for, or the first."""
    text = request.GET.get("group", "")
    number = int(text) if text.isdecimal() and len(text) <= len(str(LARGEST)) else 0
    return next((row for row in groups if row.pk == number), groups[0] if groups else None)


def _access(group: DeviceGroup | None) -> str:
    if group is None:
        return ""
    return ", ".join(sorted(group.access.values_list("name", flat=True))) or "everybody"


def _cells(whole: Matrix) -> Iterator[tuple[object, ...]]:
    version = whole.version
    for line in whole.lines:
        rule = line.rule
        for role, name in ROLES.items():
            yield (
                version, name, line.entry.label, line.group_name or NO_GROUP, RISKS[line.risk],
                _yes(role in line.roles), _yes(role in line.proposers), rule["quorum"], rule["deny_quorum"],
                _yes(rule["second_person"]), _yes(rule["reauthenticate"]), _yes(not rule["four_eyes"]),
                _yes(rule["comment_on_approve"]), _yes(rule["comment_on_reject"]), _yes(rule["comment_on_undo"]),
                rule["answer_within_minutes"], rule["expiry_days"],
            )  # fmt: skip


def _yes(held: bool) -> str:
    return "yes" if held else "no"


def _shown(line: Line) -> dict[str, Any]:
    return {
        "icon": line.entry.icon,
        "label": line.entry.label,
        "risk": RISKS[line.risk],
        "may": [name for role, name in ROLES.items() if role in line.roles],
        "people": line.people,
        "asks": ", ".join(_asks(line.rule)),
    }


def _asks(rule: Mapping[str, Any]) -> Iterator[str]:
    if rule["four_eyes"]:
        yield "not by a person who proposed it"
    if rule["reauthenticate"]:
        yield "password again"
    named = [verb for verb in ("approve", "reject", "undo") if rule[f"comment_on_{verb}"]]
    if named:
        yield f"comment to {' and '.join(named)}"
    if rule["deny_quorum"] > 1:
        yield f"{rule['deny_quorum']} to reject"
    yield f"answer within {_span(rule['answer_within_minutes'])}"
    yield f"expires after {rule['expiry_days']} d"


def _note(whole: Matrix) -> str:
    figures = whole.figures
    stale = [_span(figures[f"stale_{risk}_minutes"]) for risk in ("high", "medium", "low")]
    glass = (
        "Where two people are needed, one may break the glass, loudly, and another reviews it."
        if figures["break_glass"]
        else "Nobody decides alone where two people are needed: break-glass is off."
    )
    return (
        "Auditors decide nothing, and nobody decides in a group they don't see. A right isn't passed on, an action is. "
        f"An undo needs one person with the right. {glass} An approval must have started within {stale[0]} at high "
        f"risk, {stale[1]} at medium, {stale[2]} at low."
    )


def _span(minutes: int) -> str:
    return f"{minutes // 60} h" if minutes >= 60 and minutes % 60 == 0 else f"{minutes} min"
