"""The page of one file: where it was seen, what was found of it, and what was done to it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db.models import Case, IntegerField, Max, Min, QuerySet, Value, When
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions import by_hand, instances
from actioncenter.actions.by_hand import Intent
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, Decision
from actioncenter.actions.models import Action, ActionEvidence, ActionTarget
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.queries.raw import columns, read
from actioncenter.actions.rows import rows_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.refusing import refused
from actioncenter.actions.words import VERDICTS
from actioncenter.settings.access import within
from actioncenter.web.keyset import BadToken, Beyond, compiled, seal, unseal
from actioncenter.web.moments import iso, when
from investigations.enums import Verdict
from investigations.models import Device, Evidence

Shown = dict[str, Any]
SHA256: Final = re.compile(r"[0-9a-f]{64}")
PAGE_SIZE: Final = 50
ACTIONS_SHOWN: Final = 20
NAMES_SHOWN: Final = 5
VERBS: Final = (ActionType.QUARANTINE_FILE, ActionType.RELEASE_FILE)
LIST: Final = "file"
"""Marks tokens, which other lists make too."""


@require_safe
def file(request: Request, sha256: str) -> HttpResponse:
    viewer = viewer_of(request)
    evidence = visible_file(viewer, sha256)
    devices = instances.seen_on(sha256, viewer.scope)
    try:
        shown, following = _page_of(devices, sha256, request.GET.get("page", ""))
    except BadToken:
        return refused(
            request, 400, "This page of the list can't be found", "Its address was changed or is too old. Start again from the first."
        )  # fmt: skip
    actions = _actions(sha256, viewer)
    total, held = devices.count(), instances.seen_on(sha256, viewer.scope, held=True).count()
    context = {
        "file": _head(sha256, evidence, viewer),
        "seen": total,
        "held": held,
        "left": total - held,
        "rows": _rows(sha256, shown, viewer),
        "first_url": reverse("investigations:file", args=[sha256]) if request.GET.get("page") else "",
        "next_url": following,
        "actions": actions,
        "shown": {"actions": f"The newest {len(actions)}"},
        **_verbs(sha256, viewer, total - held, held),
    }
    return render(request, "investigations/file.html", context)


def visible_file(viewer: Viewer, sha256: str) -> QuerySet[Evidence]:
    """Its evidence; 404 where the person may see none, as for a file that nobody has seen."""
    evidence = instances.evidence_of(sha256, viewer.scope)
    if not SHA256.fullmatch(sha256) or not evidence.exists():
        raise Http404
    return evidence


def _head(sha256: str, evidence: QuerySet[Evidence], viewer: Viewer) -> Shown:
    found = evidence.aggregate(worst=Max("verdict"), first=Min("created_at"), last=Max("created_at"))
    names = evidence.order_by("name").values_list("name", flat=True).distinct()[:NAMES_SHOWN]
    verdict, label = VERDICTS[Verdict(found["worst"])]
    return {
        "sha256": sha256,
        "names": list(names),
        "verdict": verdict,
        "verdict_label": label,
        "first": when(found["first"], viewer.now),
        "first_iso": iso(found["first"]),
        "last": when(found["last"], viewer.now),
        "last_iso": iso(found["last"]),
        "investigations": evidence.values("investigation").distinct().count(),
    }


def _page_of(devices: QuerySet[Device], sha256: str, token: str) -> tuple[list[Device], str]:
    """Critical ones first, then by name, and where the list goes on. Raises BadToken."""
    critical = Case(When(critical=True, then=Value(0)), default=Value(1), output_field=IntegerField())
    rows = devices.annotate(rank=critical).select_related("group").order_by("rank", "name", "pk")
    if token:
        position = unseal(token)
        if position.get("list") != LIST or position.get("file") != sha256:
            raise BadToken
        rows = rows.filter(Beyond(("rank", "name", "id"), position["at"]))
    found: list[Any] = list(rows[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    if len(found) <= PAGE_SIZE:
        return shown, ""
    last = shown[-1]
    sealed = seal({"list": LIST, "file": sha256, "at": [last.rank, last.name, last.pk]})
    return shown, f"{reverse('investigations:file', args=[sha256])}?page={sealed}"


def _rows(sha256: str, devices: Sequence[Device], viewer: Viewer) -> list[Shown]:
    """As many queries for a hundred devices as for one."""
    found = instances.found_on(sha256, devices, viewer.scope)
    held, there = instances.holding(sha256, devices), by_hand.open_on(devices)
    return [_row(device, found.get(device.pk, []), held.get(device.pk), there, viewer) for device in devices]


def _row(
    device: Device,
    evidence: Sequence[Evidence],
    held: ActionTarget | None,
    there: Mapping[str, Sequence[ActionTarget]],
    viewer: Viewer,
) -> Shown:
    group = device.group
    open_ones = there.get(Intent(ActionType.QUARANTINE_FILE, device, evidence=evidence).lane, ())
    action = open_ones[0].action if open_ones else held.action if held else None
    seen = action is not None and viewer.rights.sees(action)
    verdict, label = VERDICTS[Verdict(max((item.verdict for item in evidence), default=Verdict.UNKNOWN))]
    return {
        "number": device.pk,
        "name": device.name,
        "url": reverse("investigations:device", args=[device.pk]),
        "critical": device.critical or bool(group and group.critical),
        "group": group.name if group else "",
        "path": evidence[0].path if evidence else "",
        "verdict": verdict,
        "verdict_label": label,
        **_state(open_ones, held),
        "action_label": action.label if action and seen else "",
        "action_url": page_url(action.pk) if action and seen else "",
        "read": when(held.read_back_at, viewer.now) if held else "",
        "read_iso": iso(held.read_back_at) if held else "",
    }


def _state(open_ones: Sequence[ActionTarget], held: ActionTarget | None) -> Shown:
    if open_ones:
        action = open_ones[0].action
        code = "waiting" if action.decision == Decision.PENDING else "running"
        return {"state_code": code, "state": f"{action.entry.short} {by_hand.state_of(action)}"}
    if held and held.drifted_at:
        return {"state_code": "outcome_unknown", "state": "Drift: no longer quarantined"}
    return (
        {"state_code": "succeeded", "state": "Quarantined"}
        if held
        else {"state_code": "none", "state": "Not quarantined"}
    )


def _actions(sha256: str, viewer: Viewer) -> list[Any]:
    """The newest that rest on evidence of the file."""
    links = ActionEvidence.objects.filter(evidence__sha256=sha256).exclude(evidence__sha256="")
    rows = within(Action.objects.filter(pk__in=links.values("action")), viewer.scope).order_by("-pk")
    raws = read(compiled(columns(rows, progress=True)[:ACTIONS_SHOWN]))
    return [
        {
            **row,
            "result_code": row["result_code"] or "waiting",
            "result_label": row["result_label"] or "Waiting",
        }
        for row in rows_of(raws, viewer, page_url, history=True)
    ]


def _verbs(sha256: str, viewer: Viewer, left: int, held: int) -> Shown:
    """The buttons over the table; `read_only` says why there are none."""
    asked = [_verb(kind, sha256, number) for kind, number in zip(VERBS, (left, held), strict=True)]
    refusal = viewer.rights.refusal(Verb.PROPOSE, _Anything())
    return {"verbs": asked, "read_only": str(refusal) if refusal else ""}


def _verb(kind: ActionType, sha256: str, number: int) -> Shown:
    entry = CATALOGUE[kind]
    url = reverse("investigations:act_on_file", args=[sha256, entry.code])
    return {"code": entry.code, "label": entry.short, "icon": entry.icon, "url": url, "number": number}


class _Anything:
    """What proposing depends on: nothing but the person."""

    type, area, group_id = ActionType.QUARANTINE_FILE, Area.DEVICE, None
