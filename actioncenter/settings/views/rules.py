"""Approval rules: who must agree to what, and until when. Everybody reads, admins change."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Risk
from actioncenter.settings.access import Scope, scope_for
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ApprovalRule, DeviceGroup
from actioncenter.settings.models.approval import (
    ANSWER_MINUTES,
    DAY,
    RANGES,
    RELEASES,
    SWITCHES,
    RuleError,
    built_in,
)
from actioncenter.web.load import LARGEST, load

Shown = dict[str, Any]
TYPES: Final = sorted(((kind.value, CATALOGUE[kind].label) for kind in ActionType), key=lambda pair: pair[1])
LABELS: Final[Mapping[str, str]] = {
    "four_eyes": "Whoever proposed it may not approve it",
    "second_person": "Two people at least, also for those who may act alone",
    "reauthenticate": "Password within the last 10 minutes to approve",
    "comment_on_approve": "Comment to approve",
    "comment_on_reject": "Comment to reject",
    "comment_on_undo": "Comment to undo",
}
UNITS: Final[Mapping[str, str]] = {
    "quorum": "people",
    "deny_quorum": "people",
    "expiry_days": "days",
    "answer_within_minutes": "minutes",
}
CONFLICTS: Final = frozenset({"changed", "gone"})


class RuleForm(forms.Form):
    action_type = forms.TypedChoiceField(
        label="Type of action",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", "Any type"), *TYPES],
    )
    group = forms.TypedChoiceField(label="Device group", required=False, coerce=int, empty_value=None)
    risk = forms.TypedChoiceField(
        label="Risk",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", "Any risk"), *((risk.value, risk.name.capitalize()) for risk in Risk)],
    )
    quorum = forms.IntegerField(label="Approvals needed", initial=1)
    deny_quorum = forms.IntegerField(label="Rejections needed", initial=1)
    expiry_days = forms.IntegerField(label="Expires after", initial=7)
    answer_within_minutes = forms.IntegerField(label="Answer within", required=False)
    revision = forms.IntegerField(required=False, min_value=0, max_value=LARGEST, widget=forms.HiddenInput)

    def __init__(self, *args: Any, groups: QuerySet[DeviceGroup], **more: Any) -> None:
        super().__init__(*args, **more)
        for name, (_, least, most) in RANGES.items():
            # Compared here, so that no number is too large for the database.
            field = self.fields[name]
            field.validators += forms.IntegerField(min_value=least, max_value=most).validators
        for name in ("action_type", "risk", *RANGES):
            self.fields[name].widget.attrs["class"] = "text"
        for name, label in LABELS.items():
            preset = name in {"comment_on_reject", "comment_on_undo"}
            self.fields[name] = forms.BooleanField(label=label, required=False, initial=preset)
        choices = [("", "Any group"), *((group.pk, group.name) for group in groups)]
        self.fields["group"] = forms.TypedChoiceField(
            label="Device group", required=False, coerce=int, empty_value=None, choices=choices
        )
        self.fields["group"].widget.attrs["class"] = "text"

    def values(self) -> Shown:
        """Fields of a rule."""
        told = dict(self.cleaned_data)
        group, _ = told.pop("group"), told.pop("revision")
        return {**told, "group_id": group}

    @property
    def sections(self) -> Mapping[str, Any]:
        places = ("action_type", "group", "risk")
        return {
            "places": [self[name] for name in places],
            "figures": [{"field": self[name], "unit": UNITS[name]} for name in RANGES],
            "switches": [self[name] for name in SWITCHES],
        }


@require_safe
def rules(request: Request) -> HttpResponse:
    return _list(request)


@require_POST
def add_rule(request: Request) -> HttpResponse:
    _require_admin(request)
    form = _form(request, data=request.POST)
    if not form.is_valid():
        return _list(request, form=form, status=422)

    def change() -> str:
        ApprovalRule.add(by=actor_of(request), **form.values())
        return "The rule is in force for what is proposed from now on."

    return _once(request, change, lambda error: _list(request, form=form, error=error, status=_status(error)))


@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: Request, pk: int) -> HttpResponse:
    row = load(_visible(request), pk)
    if request.method != "POST":
        return _page(request, row)
    _require_admin(request)
    form = _form(request, data=request.POST)
    if not form.is_valid():
        return _page(request, row, form=form, status=422)

    def change() -> str:
        seen = form.cleaned_data["revision"]
        row.change(by=actor_of(request), revision=seen, **form.values())
        return "The rule is changed for what is proposed from now on."

    return _once(
        request,
        change,
        lambda error: _page(request, row, form=form, error=error, status=_status(error)),
        back=reverse("settings:rule", args=[row.pk]),
    )


@require_POST
def remove_rule(request: Request, pk: int) -> HttpResponse:
    row = load(_visible(request), pk)
    _require_admin(request)

    def change() -> str:
        row.remove(by=actor_of(request))
        return "The rule is removed. What waits keeps it."

    return _once(request, change, lambda error: _list(request, error=error, status=_status(error)))


def _once(
    request: Request, change: Callable[[], str], refused: Callable[[RuleError], HttpResponse], back: str = ""
) -> HttpResponse:
    def effect() -> Outcome:
        return {"said": change()}

    try:
        return once(request, effect, lambda outcome: redirect("settings:rules"))
    except RuleError as error:
        if error.name == "role":
            raise PermissionDenied(str(error)) from error
        if error.name == proof.CODE:
            return proof.ask(request, back=back or reverse("settings:rules"), why=str(error))
        return refused(error)


def _status(error: RuleError) -> int:
    return 409 if error.name in CONFLICTS else 422


def _require_admin(request: Request) -> None:
    if not request.user.has_role(Role.ADMIN):
        raise PermissionDenied("Only an admin changes approval rules.")


def _visible(request: Request) -> QuerySet[ApprovalRule]:
    scope, rows = scope_for(request.user), ApprovalRule.objects.select_related("group")
    if not scope.areas:
        return rows.none()
    known = rows.filter(group__isnull=True) | rows.filter(group__in=_groups(scope))
    return known.order_by("action_type", "group__rank", "risk", "pk")


def _groups(scope: Scope) -> QuerySet[DeviceGroup]:
    rows = DeviceGroup.objects.all()
    return rows if scope.groups is None else rows.filter(pk__in=scope.groups)


def _form(request: Request, *, data: Any = None, initial: Shown | None = None) -> RuleForm:
    return RuleForm(data, initial=initial, groups=_groups(scope_for(request.user)))


def _list(
    request: Request, *, form: RuleForm | None = None, error: RuleError | None = None, status: int = 200
) -> HttpResponse:
    can_edit = request.user.has_role(Role.ADMIN)
    context = {
        "rules": [_shown(row) for row in _visible(request)],
        "built_in": BUILT_IN,
        "form": (form or _form(request)) if can_edit else None,
        "form_error": _told(error),
        "can_edit": can_edit,
    }
    return render(request, "settings/rules.html", context, status=status)


def _page(
    request: Request,
    row: ApprovalRule,
    *,
    form: RuleForm | None = None,
    error: RuleError | None = None,
    status: int = 200,
) -> HttpResponse:
    initial = {**row.frozen(), "action_type": row.action_type, "group": row.group_id, "risk": row.risk}
    can_edit = request.user.has_role(Role.ADMIN)
    context = {
        "rule": _shown(row),
        "form": (form or _form(request, initial={**initial, "revision": row.revision})) if can_edit else None,
        "form_error": _told(error),
        "can_edit": can_edit,
    }
    return render(request, "settings/rule.html", context, status=status)


def _told(error: RuleError | None) -> str:
    if error is None:
        return ""
    label = RuleForm.base_fields[error.name].label if error.name in RuleForm.base_fields else ""
    return f"{label}: {error}" if label else str(error)


def _shown(row: ApprovalRule) -> Shown:
    kind = CATALOGUE[ActionType(row.action_type)].label if row.action_type is not None else ""
    risk = f"{Risk(row.risk).name.lower()} risk" if row.risk is not None else ""
    parts = [kind or "Any action", risk, f"in {row.group.name}" if row.group else ""]
    return {
        "url": reverse("settings:rule", args=[row.pk]),
        "pk": row.pk,
        "scope": ", ".join(part for part in parts if part),
        "asks": _asks(row.frozen()),
        "replaces": row.action_type is not None,
        "clocks": _clocks(row),
    }


def _asks(rule: Mapping[str, Any]) -> list[str]:
    counts = [
        f"{rule['quorum']} approvals" if rule["quorum"] > 1 else "",
        f"{rule['deny_quorum']} rejections" if rule["deny_quorum"] > 1 else "",
    ]
    return [text for text in counts if text] + [LABELS[name] for name in SWITCHES if rule[name]]


def _clocks(row: ApprovalRule) -> str:
    answer = f"answer within {_span(row.answer_within_minutes)}, " if row.answer_within_minutes else ""
    return f"{answer}expires after {row.expiry_days} {'day' if row.expiry_days == 1 else 'days'}"


def _span(minutes: int) -> str:
    return f"{minutes // 60} h" if minutes % 60 == 0 and minutes < DAY else f"{minutes} min"


def _defaults() -> list[Shown]:
    """What holds while no rule speaks of a type, worked out from what is enforced."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for kind in ActionType:
        asked = built_in(kind, CATALOGUE[kind].risk)
        names = tuple(name for name in SWITCHES if asked.get(name))
        if names:
            groups.setdefault(names, []).append(CATALOGUE[kind].short)
    shown = [
        {"scope": ", ".join(types), "asks": [LABELS[n] for n in names]} for names, types in groups.items()
    ]
    released = built_in(ActionType.RELEASE_FILE, Risk.HIGH, malicious=True)
    types = [CATALOGUE[kind].short for kind in sorted(RELEASES)]
    shown.append(
        {
            "scope": f"{', '.join(types)}: of what is malicious, unless it is an undo",
            "asks": [LABELS[name] for name in SWITCHES if released.get(name)],
        }
    )
    shown.append({"scope": "What a person proposes and another decides", "asks": [LABELS["four_eyes"]]})
    answers = ", ".join(f"{risk.name.lower()} {_span(minutes)}" for risk, minutes in ANSWER_MINUTES.items())
    shown.append(
        {"scope": "Everything", "asks": [f"Answer within, by risk: {answers}", "Expires after 7 days"]}
    )
    shown.append({"scope": "What is done by hand", "asks": ["Comment, always"]})
    return shown


BUILT_IN: Final = _defaults()
