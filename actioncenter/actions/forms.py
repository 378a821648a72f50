"""What people send: one decision, or one for many."""

import re
from typing import Any, Final, NamedTuple

from django import forms
from django.core.exceptions import ValidationError

from actioncenter.actions.models.deciding import BULK_LIMIT, COMMENT_LIMIT
from actioncenter.actions.permissions import Verb
from actioncenter.web.load import LARGEST

SELECTED: Final = re.compile(r"([0-9]{1,19})(?::([0-9]{1,10})(:(?:[0-9a-f]{8})?)?)?")
DIGEST: Final = re.compile(r"(?:[0-9a-f]{8,64})?")
MODES: Final = frozenset({"click", "key"})
BULK_VERBS: Final = (Verb.APPROVE, Verb.REJECT, Verb.UNDO)


class Seen(NamedTuple):
    """What a list showed of an action; a plan is None where it doesn't say, and '' where there was none."""

    revision: int
    plan: str | None


class DecisionForm(forms.Form):
    """`revision`, `plan` and `ends` are what the person saw.

    Who doesn't say which revision has seen the first: what was edited since is never decided on unseen.
    The others are None where the page doesn't say.
    """

    comment = forms.CharField(required=False, max_length=COMMENT_LIMIT, strip=True)
    revision = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)
    plan = forms.CharField(required=False, max_length=64)
    mode = forms.CharField(required=False, max_length=20)
    typed = forms.CharField(required=False, max_length=320, strip=True)
    hours = forms.IntegerField(required=False, min_value=0, max_value=LARGEST)
    ends = forms.CharField(required=False, max_length=40)
    idempotency_key = forms.CharField(required=False, max_length=100)
    next = forms.CharField(required=False, max_length=4000)

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
