"""What people send: one decision, or one for many."""

import re
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from actioncenter.actions.models.deciding import BULK_LIMIT, COMMENT_LIMIT
from actioncenter.actions.permissions import Verb
from actioncenter.web.load import LARGEST

SELECTED: Final = re.compile(r"([0-9]{1,19})(?::([0-9]{1,10}))?")
BULK_VERBS: Final = (Verb.APPROVE, Verb.REJECT, Verb.UNDO)


class DecisionForm(forms.Form):
    """`revision` is what the person saw; 0 where the page doesn't say."""

    comment = forms.CharField(required=False, max_length=COMMENT_LIMIT, strip=True)
    revision = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)
    idempotency_key = forms.CharField(required=False, max_length=100)
    next = forms.CharField(required=False, max_length=4000)

    @property
    def complaint(self) -> str:
        """The first thing wrong, with its field."""
        name, errors = next(iter(self.errors.items()))
        return f"{name}: {errors[0]}"


class SelectionField(forms.Field):
    """Repeated "number:revision" -> {number: revision or None}, in the order given."""

    def clean(self, value: Any) -> dict[int, int | None]:
        chosen: dict[int, int | None] = {}
        for text in value or []:
            match = SELECTED.fullmatch(text)
            if match is None or not 0 < int(match[1]) <= LARGEST:
                raise ValidationError(f"“{text[:40]}” is not an action.")
            chosen[int(match[1])] = int(match[2]) if match[2] else None
        if not 0 < len(chosen) <= BULK_LIMIT:
            raise ValidationError(f"Select between 1 and {BULK_LIMIT} actions.")
        return chosen


class BulkForm(DecisionForm):
    verb = forms.ChoiceField(choices=[(verb.value, verb.value) for verb in BULK_VERBS])
    selected = SelectionField(widget=forms.MultipleHiddenInput)
