"""The page of one device: what it is, what holds there, what a person may do, and what happened."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions import by_hand
from actioncenter.actions.by_hand import Intent
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.lasting import shown_drift, shown_state
from actioncenter.actions.models import ActionTarget
from actioncenter.actions.permissions import Rights, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.refusing import refused
from actioncenter.settings.access import devices_within, within
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel
from actioncenter.web.keyset import BadToken
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when
from investigations import words
from investigations.enums import EvidenceType
from investigations.models import Device, Evidence, Mailbox
from investigations.queries import routes_for
from investigations.views import timeline

Shown = dict[str, Any]
PEOPLE_SHOWN: Final = 10
IN_FORCE_SHOWN: Final = 50


@require_safe
def device(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    shown = visible_device(viewer, number)
    try:
        happened = timeline.page(timeline.of_device(shown), viewer, request.GET.get("page", ""))
    except BadToken:
        return refused(
            request, 400, "This part of the timeline can't be found", "Its address was changed or is too old. Start again from the newest."
        )  # fmt: skip
    holding = by_hand.in_force_on([shown])[shown.pk]
    context = {
        "device": head_of(shown, viewer),
        "connectors": connectors_of(shown, viewer),
        "in_force": [held(target, viewer) for target in holding[:IN_FORCE_SHOWN]],
        "in_force_count": len(holding),
        "buttons": _buttons(shown, holding, viewer.rights),
        **happened,
    }
    return render(request, "investigations/device.html", context)


def visible_device(viewer: Viewer, number: int) -> Device:
    """404 for what lies outside the person's scope, as for what doesn't exist."""
    return load(devices_within(Device.objects.select_related("group"), viewer.scope), number)


def head_of(device: Device, viewer: Viewer) -> Shown:
    return {**head_of_row(device, viewer), "people": ", ".join(people_on(device, viewer))}


def head_of_row(device: Device, viewer: Viewer) -> Shown:
    """What its own row tells."""
    group = device.group
    return {
        "number": device.pk,
        "url": reverse("investigations:device", args=[device.pk]),
        "name": device.name,
        "critical": device.critical or bool(group and group.critical),
        "group": group.name if group else "",
        "level_code": group.level if group else None,
        "level_label": LEVEL_LABELS[AutomationLevel(group.level)] if group else "",
        "stale": device.membership_stale,
        "os": " ".join(part for part in (device.os_platform, device.os_version) if part),
        "addresses": ", ".join(map(str, device.ip_addresses[:5])),
        "tags": ", ".join(map(str, device.tags[:10])),
        "health": device.health,
        "risk": device.risk,
        "offboarded": device.offboarded,
        "seen": when(device.last_seen, viewer.now),
        "seen_iso": iso(device.last_seen),
    }


def people_on(device: Device, viewer: Viewer) -> list[str]:
    """Whom evidence has seen there: the nearest to owners that a source tells of."""
    rows = within(Evidence.objects.filter(device=device, type=EvidenceType.USER), viewer.scope)
    names = rows.order_by("-pk").values_list("name", flat=True)[: PEOPLE_SHOWN * 5]
    return list(dict.fromkeys(names))[:PEOPLE_SHOWN]


def connectors_of(device: Device | Mailbox, viewer: Viewer) -> list[Shown]:
    rows = device.bindings.select_related("instance").order_by("instance__priority", "pk")
    return [
        {
            "name": row.instance.name,
            "kind": row.instance.kind,
            "simulated": row.instance.simulated,
            "enabled": row.instance.enabled,
            "remote": row.remote,
            "read": when(row.read_at, viewer.now),
            "read_iso": iso(row.read_at),
        }
        for row in rows
    ]


def held(target: ActionTarget, viewer: Viewer) -> Shown:
    action = target.action
    return {
        "icon": action.entry.icon,
        "label": action.entry.short,
        "name": "" if target.name == target.on_name else target.name,
        "action_label": action.label if viewer.rights.sees(action) else "",
        "action_url": page_url(action.pk),
        "since": when(action.finished_at, viewer.now),
        "since_iso": iso(action.finished_at),
        "says": shown_state(target.after),
        "by": target.instance_name,
        "read": when(target.read_back_at, viewer.now),
        "read_iso": iso(target.read_back_at),
        "drift": shown_drift(target) or "something else" if target.drifted_at else "",
        "drifted": when(target.drifted_at, viewer.now),
        "ends": when(action.ends_at, viewer.now),
        "ends_iso": iso(action.ends_at),
    }


def intents_of(device: Device, holding: Sequence[ActionTarget]) -> list[Intent]:
    """One for each button: what holds is taken back, everything else is done."""
    found = []
    for kind in by_hand.ON_DEVICES:
        held = next((target for target in holding if target.action.type == kind), None)
        inverse = CATALOGUE[kind].inverse
        forward = held is None or inverse is None
        found.append(Intent(kind, device) if forward else Intent(inverse or kind, device, holds=held))
    return found


def _buttons(device: Device, holding: Sequence[ActionTarget], rights: Rights) -> list[Shown]:
    routes, there = routes_for([device]), by_hand.open_on([device])
    return [
        _button(intent, rights, by_hand.why_not(intent, rights, routes, there), there)
        for intent in intents_of(device, holding)
    ]


def _button(
    intent: Intent, rights: Rights, reason: str, there: Mapping[str, Sequence[ActionTarget]]
) -> Shown:
    entry, twin = intent.entry, by_hand.twin_of(intent, there)
    proposes = rights.refusal(Verb.RUN, intent)
    return {
        "code": entry.code,
        "label": entry.label,
        "icon": entry.icon,
        "effect": words.EFFECTS[intent.type],
        "inverse": intent.holds is not None,
        "reason": reason,
        "twin": {"label": twin.label, "url": page_url(twin.pk)} if twin and reason else None,
        "proposes": f"{proposes} You may propose it." if proposes and not reason else "",
        "url": reverse("investigations:act", args=[intent.device.pk, entry.code]),
    }
