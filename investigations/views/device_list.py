"""The list of devices, by name: where to find one, and what of ours holds there."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions import by_hand
from actioncenter.actions.models import ActionTarget
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.refusing import refused
from actioncenter.guide.documents import address_of
from actioncenter.settings.access import devices_within
from actioncenter.web.keyset import BadToken, Beyond, seal, unseal
from actioncenter.web.narrowing import Address
from investigations.filters import DeviceFilter
from investigations.models import Device
from investigations.views.device import head_of_row

Shown = dict[str, Any]
LIST: Final = "devices"
"""Marks tokens, which other lists make too."""
PAGE_SIZE: Final = 50


@require_safe
def devices(request: Request) -> HttpResponse:
    viewer = viewer_of(request)
    narrowing = DeviceFilter(request.GET, scope=viewer.scope)
    rows = narrowing.narrow(devices_within(Device.objects.select_related("group"), viewer.scope))
    address = DeviceAddress(narrowing)
    try:
        shown, more = _page_of(rows, request.GET.get("page", ""))
    except BadToken:
        return refused(
            request, 400, "This page of the list can't be found", "Its address was changed or is too old. Start again from the first page."
        )  # fmt: skip
    for complaint in narrowing.complaints:
        messages.warning(request, complaint)
    context = {
        "rows": _shown(shown, viewer),
        "filter": narrowing,
        "chips": address.chips(),
        "clear_url": address.clear_url,
        "hidden_state": [],
        "first_url": address.url() if request.GET.get("page") else "",
        "next_url": address.url(page=more) if more else "",
        "empty": address.nothing_fits("device")
        or {**EMPTY, "url": address_of("connectors/ssh#enrolling-a-host")},
    }
    return render(
        request, "investigations/devices.html", context, status=400 if narrowing.complaints else 200
    )


EMPTY: Final[Mapping[str, str]] = {
    "title": "No devices yet",
    "text": "A device will stand here once an alert names it or a host is enrolled, with its group, and what is in force on it.",
    "label": "How a host is enrolled",
}


class DeviceAddress(Address):
    """The state of the list, which lies wholly in its address."""

    def __init__(self, narrowing: DeviceFilter) -> None:
        self.path, self.narrowing = reverse("investigations:devices"), narrowing
        self.kept = QueryDict(mutable=True)
        for name, value in narrowing.chosen.items():
            self.kept[name] = value


def _page_of(rows: QuerySet[Device], token: str) -> tuple[list[Device], str]:
    """By name, and the token of where the list goes on. Raises BadToken."""
    if token:
        position = unseal(token)
        if position.get("list") != LIST:
            raise BadToken
        rows = rows.filter(Beyond(("name", "id"), position["at"]))
    found = list(rows.order_by("name", "pk")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    more = len(found) > PAGE_SIZE
    return shown, seal({"list": LIST, "at": [shown[-1].name, shown[-1].pk]}) if more else ""


def _shown(devices: Sequence[Device], viewer: Viewer) -> list[Shown]:
    """As many queries for a hundred devices as for one."""
    holding = by_hand.in_force_on(devices)
    return [{**head_of_row(device, viewer), **_held(holding[device.pk])} for device in devices]


def _held(holding: Sequence[ActionTarget]) -> Shown:
    wide = list(dict.fromkeys(row.action.entry.short for row in holding if row.action.entry.device_wide))
    files = sum(not row.action.entry.device_wide for row in holding)
    told = [*wide, *([f"{files:,} other action{'' if files == 1 else 's'}"] if files else [])]
    return {"held": ", ".join(told), "drift": any(row.drifted_at for row in holding)}
