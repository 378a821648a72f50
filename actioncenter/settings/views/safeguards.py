"""Safeguards: how far automation may go by itself. Admins change, auditors read."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import rails
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import BreakerState, Role
from actioncenter.settings.models import (
    Breaker,
    BreakerError,
    DeviceGroup,
    FolderExclusion,
    Indicator,
    RailKey,
    RailUse,
    ReviewError,
    Safeguards,
    SafeguardsError,
)
from actioncenter.settings.models.rails import Window
from actioncenter.settings.views.shown import device_counts
from actioncenter.web.load import LARGEST, load
from actioncenter.web.moments import iso, when

Shown = dict[str, Any]
Error = SafeguardsError | BreakerError | ReviewError
CONFLICTS: Final = frozenset({"changed", "gone"})
HISTORY: Final = 50
TOLD: Final = (Kind.SAFEGUARDS_CHANGED, Kind.RAIL_WARNED, Kind.RAIL_REACHED, Kind.BREAKER_OPENED,
               Kind.BREAKER_RESTORED, Kind.BREAKER_PROBED, Kind.BREAKER_CLOSED, Kind.SUPPRESSION_RENEWED,
               Kind.SUPPRESSION_LAPSED)  # fmt: skip
CHANGES: Final[Mapping[str, str]] = {
    Kind.SAFEGUARDS_CHANGED: "Safeguards changed",
    Kind.RAIL_WARNED: "Cap nearly reached",
    Kind.RAIL_REACHED: "Cap reached",
    Kind.BREAKER_OPENED: "Automation went off",
    Kind.BREAKER_RESTORED: "Automation may try again",
    Kind.BREAKER_PROBED: "One action runs as a probe",
    Kind.BREAKER_CLOSED: "Automation on again",
    Kind.SUPPRESSION_RENEWED: "Suppression renewed",
    Kind.SUPPRESSION_LAPSED: "Suppression lapsed",
}
SECTIONS: Final[Mapping[str, Mapping[str, tuple[str, str, str]]]] = {
    "Caps on automatic actions": {
        "device_cap": ("Device-wide, per group", "an hour", "Isolating, restricting and the like. Further ones wait for a person."),
        "device_cap_percent": ("Or this share of the group's devices", "%", "The larger of the two counts; the share is rounded down."),
        "entity_cap": ("Files and other entities, per group", "an hour", "Quarantine, stopping services and the like."),
        "entity_cap_percent": ("Or this share of the group's devices", "%", "The larger of the two counts."),
    },
    "When automation goes off": {
        "breaker_last": ("Look at the last", "actions", "Automatic ones of one type in one group."),
        "breaker_bad_percent": ("Off when so many went wrong", "%", "Failed, undone or with an unknown outcome. A person has to restore it."),
        "cooling_off_days": ("Not restored before", "days", "Until then the group's level can't be raised either."),
    },
    "Levels and certainty": {
        "raise_delay_hours": ("A raised level takes effect after", "hours", "Unless another admin confirms it first. Any admin can cancel it."),
        "confidence_floor": ("Certainty of the target", "of 100", "Below it a person decides. It can be raised, never set below 75."),
    },
    "Approvals": {
        "stale_high_minutes": ("Approval lasts at high risk", "minutes", "If it hasn't begun by then, it is asked again."),
        "stale_medium_minutes": ("Approval lasts at medium risk", "minutes", ""),
        "stale_low_minutes": ("Approval lasts at low risk", "minutes", ""),
        "break_glass": ("Break-glass allowed", "", "One person in place of two, loud, and reviewed by another afterwards."),
        "break_glass_review_hours": ("Break-glass reviewed within", "hours", ""),
    },
    "What is in force": {
        "read_back_minutes": ("Read back every", "minutes", "Isolations, restrictions, quarantined files, blocks. A difference is shown, and nothing repaired by itself."),
    },
    "Suppressions": {
        "suppression_days": ("Looked at again every", "days", "Exclusions and Allow indicators stop working unless renewed. 0 is never; 30 is strict."),
    },
}  # fmt: skip


class SafeguardsForm(forms.ModelForm):  # type: ignore[type-arg]
    comment = forms.CharField(
        label="Why", required=False, max_length=2000, widget=forms.TextInput(attrs={"class": "text"})
    )
    revision = forms.IntegerField(required=False, min_value=0, max_value=LARGEST, widget=forms.HiddenInput)

    class Meta:
        model = Safeguards
        fields = [name for figures in SECTIONS.values() for name in figures]

    @property
    def sections(self) -> list[Shown]:
        return [
            {
                "title": title,
                "figures": [
                    {"field": self[name], "label": label, "unit": unit, "help": said}
                    for name, (label, unit, said) in figures.items()
                ],
            }
            for title, figures in SECTIONS.items()
        ]


@require_http_methods(["GET", "HEAD", "POST"])
def safeguards(request: Request) -> HttpResponse:
    _require_reader(request)
    if request.method != "POST":
        return _page(request)
    _require_admin(request)
    form = SafeguardsForm(request.POST, instance=Safeguards.current())
    if not form.is_valid():
        return _page(request, form=form, status=422)
    told = dict(form.cleaned_data)
    comment, seen = told.pop("comment"), told.pop("revision")

    def change() -> str:
        Safeguards.change(by=actor_of(request), comment=comment, expected=seen, **told)
        return "The safeguards hold from now on."

    return _once(request, change, form=form)


@require_POST
def restore_breaker(request: Request, pk: int) -> HttpResponse:
    _require_reader(request)
    row = load(Breaker.objects.select_related("group"), pk)
    _require_admin(request)

    def change() -> str:
        row.restore(by=actor_of(request), comment=request.POST.get("comment", ""))
        return f"{row.label}: the next automatic action runs as a probe."

    return _once(request, change)


@require_POST
def renew(request: Request, kind: str, pk: int) -> HttpResponse:
    _require_reader(request)
    row: FolderExclusion | Indicator
    if kind == FolderExclusion.SUBJECT:
        row = load(FolderExclusion.objects.all(), pk)
    elif kind == Indicator.SUBJECT:
        row = load(Indicator.objects.suppressing(), pk)
    else:
        raise Http404
    _require_admin(request)

    def change() -> str:
        row.renew(by=actor_of(request))
        return f"{row} is renewed."

    return _once(request, change)


def _once(request: Request, change: Callable[[], str], form: SafeguardsForm | None = None) -> HttpResponse:
    def effect() -> Outcome:
        return {"said": change()}

    try:
        return once(request, effect, lambda _: redirect("settings:safeguards"))
    except (SafeguardsError, BreakerError, ReviewError) as error:
        if error.code == "role":
            raise PermissionDenied(str(error)) from error
        if error.code == proof.CODE:
            return proof.ask(request, back=reverse("settings:safeguards"), why=str(error))
        status = 409 if error.code in CONFLICTS else 422
        return _page(request, form=form, error=error, status=status)


def _require_reader(request: Request) -> None:
    if not request.user.has_role(Role.ADMIN) and not request.user.has_role(Role.AUDITOR):
        raise PermissionDenied("Safeguards are for admins and auditors.")


def _require_admin(request: Request) -> None:
    if not request.user.has_role(Role.ADMIN):
        raise PermissionDenied("Only an admin changes the safeguards.")


def _page(
    request: Request, *, form: SafeguardsForm | None = None, error: Error | None = None, status: int = 200
) -> HttpResponse:
    figures = Safeguards.current()
    if form is None:
        form = SafeguardsForm(instance=figures, initial={"revision": Safeguards.revision()})
    can_edit = request.user.has_role(Role.ADMIN)
    if not can_edit:
        for field in form.fields.values():
            field.disabled = True
    context = {
        "form": form,
        "form_error": str(error) if error else "",
        "can_edit": can_edit,
        "groups": _uses(figures),
        "breakers": [_breaker(row) for row in Breaker.objects.live().select_related("group")],
        "suppressions": _suppressions(figures),
        "history": [_change(event) for event in _events()],
    }
    return render(request, "settings/safeguards.html", context, status=status)


def _uses(figures: Safeguards) -> list[Shown]:
    """Of every group, how much of its caps is used now."""
    named: dict[int | None, str] = dict(DeviceGroup.objects.values_list("pk", "name"))
    keys = [RailKey(group, device_wide) for group in named for device_wide in (True, False)]
    windows, sizes = RailUse.windows(keys), rails.sizes(named)
    devices = device_counts(pk for pk in named if pk)
    return [
        {
            "name": name,
            "devices": devices.get(group or 0, 0),
            "young": devices.get(group or 0, 0) - sizes.get(group, 0),
            "rails": [
                _use(
                    windows.get(key),
                    key,
                    figures.cap(device_wide=key.device_wide, devices=sizes.get(group, 0)),
                )
                for key in (RailKey(group, True), RailKey(group, False))
            ],
        }
        for group, name in named.items()
    ]


def _use(window: Window | None, key: RailKey, cap: int) -> Shown:
    used = window.used if window else 0
    free = window.free_at(cap) if window and used >= cap else None
    return {
        "label": "Devices" if key.device_wide else "Entities",
        "used": used,
        "cap": cap,
        "most": max(cap, 1),
        "high": max(cap, 1) * 0.8,
        "reached": used >= cap,
        "free": when(free),
        "free_iso": iso(free),
    }


def _breaker(row: Breaker) -> Shown:
    return {
        "pk": row.pk,
        "label": row.label,
        "said": str(row),
        "opened": when(row.opened_at),
        "opened_iso": iso(row.opened_at),
        "possible": when(row.cool_until),
        "possible_iso": iso(row.cool_until),
        "can_restore": row.state == BreakerState.OPEN and row.is_cool,
        "probing": row.state == BreakerState.PROBING,
        "restored_by": row.restored_by_name,
        "probe": f"A-{row.probe_id}" if row.probe_id else "",
    }


def _suppressions(figures: Safeguards) -> list[Shown]:
    """The next to be looked at first; none while nothing is to be reviewed."""
    if not figures.suppression_days:
        return []
    rows: list[FolderExclusion | Indicator] = [
        *FolderExclusion.objects.order_by("reviewed_at")[:HISTORY],
        *Indicator.objects.suppressing().order_by("reviewed_at")[:HISTORY],
    ]
    lapsed = {
        kind: set(kind.objects.lapsed(figures).values_list("pk", flat=True))
        for kind in (FolderExclusion, Indicator)
    }
    return [
        {
            "pk": row.pk,
            "kind": row.SUBJECT,
            "name": str(row),
            "lapsed": row.pk in lapsed[type(row)],
            "until": when(row.review_by(figures)),
            "until_iso": iso(row.review_by(figures)),
        }
        for row in sorted(rows, key=lambda row: row.reviewed_at)
    ]


def _events() -> Any:
    return Event.objects.filter(kind__in=[kind.value for kind in TOLD]).order_by("-pk")[:HISTORY]


def _change(event: Event) -> Shown:
    before, after = event.before or {}, event.after or {}
    figures = [
        f"{name.replace('_', ' ')} {before[name]} → {after[name]}"
        if name in before
        else f"{name} {after[name]}"
        for name in after
        if event.kind in {Kind.SAFEGUARDS_CHANGED, Kind.RAIL_WARNED, Kind.RAIL_REACHED}
        and name != "device_wide"
    ]
    return {
        "at": when(event.at),
        "at_iso": iso(event.at),
        "who": event.actor_name,
        "text": CHANGES[event.kind],
        "about": ", ".join(figures) if event.kind == Kind.SAFEGUARDS_CHANGED
        else ": ".join(text for text in (event.subject_name, ", ".join(figures)) if text),
        "comment": (event.detail or {}).get("comment", ""),
    }  # fmt: skip
