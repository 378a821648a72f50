"""How long what happened is kept, and what is held beyond that. Auditors read, admins change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import Action
from actioncenter.actions.models.purging import old_artefacts
from actioncenter.audit import sealing
from actioncenter.auditor import purging
from actioncenter.auditor.views.entering import auditors
from actioncenter.settings.enums import Role
from actioncenter.settings.models import LegalHold, Retention, RetentionError, Shortening
from actioncenter.settings.models.retention import PRESETS, WIDEST_PRESET, subject_of
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when
from investigations.models import Investigation

Shown = dict[str, Any]
MOST: Final = 36_500
COUNTED: Final = 100_000
"""More than so many are only said to be more."""
CONFLICTS: Final = frozenset({"unchanged", "held", "free", "same", "ended"})


class RuleForm(forms.Form):
    days = forms.IntegerField(
        label="Actions, evidence and log", min_value=WIDEST_PRESET, max_value=MOST,
        help_text=f"Days. Usual are {', '.join(map(str, PRESETS))}.",
    )  # fmt: skip
    artefact_days = forms.IntegerField(
        label="Files that connectors brought back", min_value=1, max_value=MOST, help_text="Days."
    )
    click_days = forms.IntegerField(label="Log of clicks", min_value=1, max_value=MOST, help_text="Days.")
    comment = forms.CharField(
        label="Why", required=False, max_length=2000, widget=forms.TextInput(attrs={"class": "text"})
    )

    @property
    def figures(self) -> dict[str, int]:
        return {name: self.cleaned_data[name] for name in ("days", "artefact_days", "click_days")}

    @property
    def sign(self) -> str:
        """What somebody was told about, so that nothing else is confirmed by it."""
        return "{days}:{artefact_days}:{click_days}".format(**self.figures)


class HoldForm(forms.Form):
    subject = forms.CharField(
        label="Action or investigation", max_length=30, help_text="A-1042 or INV-7.",
        widget=forms.TextInput(attrs={"class": "text", "autocomplete": "off"}),
    )  # fmt: skip
    reason = forms.CharField(label="Why", max_length=2000, widget=forms.TextInput(attrs={"class": "text"}))

    def clean_subject(self) -> str:
        try:
            subject = subject_of(str(self.cleaned_data["subject"]).strip())
        except RetentionError as error:
            raise forms.ValidationError(str(error)) from error
        of, _, number = subject.partition(":")
        rows = Action.objects if of == "action" else Investigation.objects
        if not rows.filter(pk=int(number)).exists():
            raise forms.ValidationError("There is none of this number.")
        return subject


@require_safe
@auditors
def retention(request: Request) -> HttpResponse:
    return _page(request)


@require_POST
@auditors
def change_retention(request: Request) -> HttpResponse:
    """What shortens it is shown before it is asked for: the same form comes back with what would go."""
    _require_admin(request)
    form = RuleForm(request.POST)
    if not form.is_valid():
        return _page(request, rule_form=form, status=422)
    if Retention.current().shortened_by(form.figures) and request.POST.get("confirmed") != form.sign:
        return _page(request, rule_form=form, planned=planned(**form.figures))

    def effect() -> Outcome:
        waits = Retention.change(by=actor_of(request), comment=form.cleaned_data["comment"], **form.figures)
        if waits:
            return {"said": f"Asked for {waits}. It holds once another admin agrees."}
        return _kept(Retention.current())

    return _once(request, effect, rule_form=form)


@require_POST
@auditors
def agree_to_shortening(request: Request, pk: int) -> HttpResponse:
    """By its number, so that nothing else is agreed to than what the page showed."""
    _require_admin(request)
    row = load(Shortening.objects.all(), pk)
    return _once(request, lambda: _kept(row.agree(by=actor_of(request))))


@require_POST
@auditors
def drop_shortening(request: Request, pk: int) -> HttpResponse:
    _require_admin(request)
    row = load(Shortening.objects.all(), pk)

    def effect() -> Outcome:
        row.drop(by=actor_of(request))
        return {"said": f"{row} will not hold."}

    return _once(request, effect)


def _kept(row: Retention) -> Outcome:
    return {"said": f"Kept are {row.worded}."}


@require_POST
@auditors
def place_hold(request: Request) -> HttpResponse:
    _require_admin(request)
    form = HoldForm(request.POST)
    if not form.is_valid():
        return _page(request, hold_form=form, status=422)
    told = form.cleaned_data

    def effect() -> Outcome:
        LegalHold.place(told["subject"], by=actor_of(request), reason=told["reason"])
        return {"said": f"{_label(told['subject'])} is held until somebody releases it."}

    return _once(request, effect, hold_form=form)


@require_POST
@auditors
def release_hold(request: Request, pk: int) -> HttpResponse:
    _require_admin(request)
    row = load(LegalHold.objects.all(), pk)

    def effect() -> Outcome:
        LegalHold.release(row.subject, by=actor_of(request), reason=request.POST.get("reason", ""))
        return {"said": f"{_label(row.subject)} is held no longer."}

    return _once(request, effect)


def planned(days: int, artefact_days: int, click_days: int) -> Shown:
    """What would be old enough under such a rule, as far as it can be counted at once; nothing is purged."""
    now = sealing.Horizon.now().at
    before, files_before = now - timedelta(days=days), now - timedelta(days=artefact_days)
    batch = purging.prefix(before)
    return {
        "before": when(before),
        "before_iso": iso(before),
        "actions": _counted(Action.objects.filter(history_at__lt=before)),
        "files": _counted(old_artefacts(files_before)),
        "clicks": _counted(purging.old_clicks(now - timedelta(days=click_days))),
        "events": batch.events if batch.seals else 0,
        "seals": len(batch.seals),
        "held_up": batch.held_up,
        "held": LegalHold.in_force().count(),
    }


def _counted(rows: Any) -> str:
    number = rows.order_by()[: COUNTED + 1].count()
    return f"more than {COUNTED:,}" if number > COUNTED else f"{number:,}"


def _once(request: Request, effect: Callable[[], Outcome], **forms_: Any) -> HttpResponse:
    try:
        return once(request, effect, lambda _: redirect("auditor:retention"))
    except RetentionError as error:
        if error.code == "role":
            raise PermissionDenied(str(error)) from error
        if error.code == proof.CODE:
            return proof.ask(request, back=reverse("auditor:retention"), why=str(error))
        return _page(request, error=str(error), status=409 if error.code in CONFLICTS else 422, **forms_)


def _require_admin(request: Request) -> None:
    if not request.user.has_role(Role.ADMIN):
        raise PermissionDenied("Only an admin changes what is kept.")


def _page(
    request: Request, *, rule_form: RuleForm | None = None, hold_form: HoldForm | None = None,
    planned: Shown | None = None, error: str = "", status: int = 200,
) -> HttpResponse:  # fmt: skip
    rule = Retention.current()
    context = {
        "tab": "retention",
        "rule": rule,
        "rule_form": rule_form or RuleForm(initial=rule.figures),
        "hold_form": hold_form or HoldForm(),
        "planned": planned,
        "waiting": _waiting(request),
        "holds": [_hold(row) for row in LegalHold.in_force().order_by("-pk")],
        "can_edit": request.user.has_role(Role.ADMIN),
        "purges": purging.may_delete(),
        "error": error,
    }
    return render(request, "auditor/retention.html", context, status=status)


def _waiting(request: Request) -> Shown | None:
    row = Shortening.waiting()
    if row is None:
        return None
    return {
        "pk": row.pk,
        "said": str(row),
        "comment": row.comment,
        "by": row.asked_by_name,
        "at": when(row.asked_at),
        "at_iso": iso(row.asked_at),
        "planned": planned(**row.figures),
        "is_own": row.asked_by == actor_of(request).ref,
    }


def _hold(row: LegalHold) -> Shown:
    return {
        "pk": row.pk,
        "label": _label(row.subject),
        "reason": row.reason,
        "by": row.placed_by_name,
        "at": when(row.placed_at),
        "at_iso": iso(row.placed_at),
    }


def _label(subject: str) -> str:
    of, _, number = subject.partition(":")
    return f"{'A' if of == 'action' else 'INV'}-{number}"
