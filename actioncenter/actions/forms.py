"""What people send: one decision, or one for many."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django import forms
from django.core.exceptions import ValidationError

from actioncenter.actions.catalogue import Entry, Parameter
from actioncenter.actions.models.deciding import BULK_LIMIT, COMMENT_LIMIT
from actioncenter.actions.permissions import Verb
from actioncenter.web.load import LARGEST

SELECTED: Final = re.compile(r"([0-9]{1,19})(?::([0-9]{1,10})(:(?:[0-9a-f]{8})?)?)?")
DIGEST: Final = re.compile(r"(?:[0-9a-f]{8,64})?")
MODES: Final = frozenset({"click", "key"})
UNITS: Final = {"hours": "Hours, 0 for no end", "days": "Days, 0 for no end"}
BULK_VERBS: Final = (Verb.APPROVE, Verb.REJECT, Verb.UNDO)


def parameter_form(entry: Entry, initial: Mapping[str, Any], data: Any = None) -> forms.Form:
    """One field for every parameter of the type, as the catalogue allows it."""
    form = forms.Form(data, initial=dict(initial))
    for name, parameter in entry.parameters.items():
        form.fields[name] = field = _field(name, parameter)
        field.widget.attrs["class"] = "text"
    return form


def _field(name: str, parameter: Parameter) -> forms.Field:
    label = UNITS.get(name, name.replace("_", " ").capitalize())
    if parameter.choices:
        choices = [(choice, choice.capitalize()) for choice in parameter.choices]
        return forms.ChoiceField(label=label, choices=choices)
    if parameter.kind is int:
        return forms.IntegerField(label=label, min_value=0, max_value=parameter.limit)
    return forms.CharField(label=label, max_length=parameter.limit, required=parameter.required)


class Seen(NamedTuple):
    """What a list showed of an action; a plan is None where it doesn't say, and '' where there was none."""

    revision: int
    plan: str | None


class DecisionForm(forms.Form):
    """`revision`, `plan` and `ends` are what the person saw.

    Who doesn't say which revision has seen the first: what was edited since is never decided on unseen.
    The others are None where the page doesn't say. `then` is the action to show next, 0 for none.
    `instances` has an undo take back every other quarantine of the same file too.
    """

    comment = forms.CharField(required=False, max_length=COMMENT_LIMIT, strip=True)
    revision = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)
    plan = forms.CharField(required=False, max_length=64)
    mode = forms.CharField(required=False, max_length=20)
    typed = forms.CharField(required=False, max_length=320, strip=True)
    hours = forms.IntegerField(required=False, min_value=0, max_value=LARGEST)
    ends = forms.CharField(required=False, max_length=40)
    instances = forms.BooleanField(required=False)
    idempotency_key = forms.CharField(required=False, max_length=100)
    next = forms.CharField(required=False, max_length=4000)
    then = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)

    def clean_then(self) -> int:
        return self.cleaned_data["then"] or 0

    def clean_revision(self) -> int:
        return self.cleaned_data["revision"] or 1

    def clean_plan(self) -> str | None:
        plan: str = self.cleaned_data["plan"]
        if not DIGEST.fullmatch(plan):
            raise ValidationError("That is not a plan.")
        return plan if "plan" in self.data else None

    def clean_ends(self) -> str | None:
        ends: str = self.cleaned_data["ends"]
        return ends if "ends" in self.data else None

    def clean_mode(self) -> str:
        mode: str = self.cleaned_data["mode"]
        return mode if mode in MODES else ""

    @property
    def complaint(self) -> str:
        """The first thing wrong, with its field."""
        name, errors = next(iter(self.errors.items()))
        return f"{name}: {errors[0]}"


class SelectionField(forms.Field):
    """Repeated "number:revision:plan" -> {number: what was seen}, in the order given."""

    def clean(self, value: Any) -> dict[int, Seen]:
        chosen: dict[int, Seen] = {}
        for text in value or []:
            match = SELECTED.fullmatch(text)
            if match is None or not 0 < int(match[1]) <= LARGEST:
                raise ValidationError(f"“{text[:40]}” is not an action.")
            chosen[int(match[1])] = Seen(
                revision=int(match[2]) if match[2] else 1,
                plan=match[3][1:] if match[3] is not None else None,
            )
        if not 0 < len(chosen) <= BULK_LIMIT:
            raise ValidationError(f"Select between 1 and {BULK_LIMIT} actions.")
        return chosen


class BulkForm(DecisionForm):
    verb = forms.ChoiceField(choices=[(verb.value, verb.value) for verb in BULK_VERBS])
    selected = SelectionField(widget=forms.MultipleHiddenInput)
