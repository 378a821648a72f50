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
    `instances` has an undo take back every other quarantine of the same file too; `with_new` has an approval
    take what came since the action was proposed too.
    """

    comment = forms.CharField(required=False, max_length=COMMENT_LIMIT, strip=True)
    revision = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)
    plan = forms.CharField(required=False, max_length=64)
    mode = forms.CharField(required=False, max_length=20)
    typed = forms.CharField(required=False, max_length=320, strip=True)
    hours = forms.IntegerField(required=False, min_value=0, max_value=LARGEST)
    ends = forms.CharField(required=False, max_length=40)
    instances = forms.BooleanField(required=False)
    with_new = forms.BooleanField(required=False)
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


SELECT: Final = f"Select between 1 and {BULK_LIMIT} actions."


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
        if len(chosen) > BULK_LIMIT:
            raise ValidationError(SELECT)
        return chosen


class BulkForm(DecisionForm):
    verb = forms.ChoiceField(choices=[(verb.value, verb.value) for verb in BULK_VERBS])
    selected = SelectionField(widget=forms.MultipleHiddenInput)
    everything = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        """What is ticked one by one counts for nothing where everything in the list is meant."""
        if not self.cleaned_data.get("selected", True) and not self.cleaned_data.get("everything"):
            self.add_error("selected", SELECT)
        return self.cleaned_data


class MailSearchForm(forms.Form):
    """What to look for in mail; `criteria` is what a search takes."""

    sender = forms.CharField(
        label="Sender",
        required=False,
        max_length=320,
        help_text="An address, or a domain for everybody there.",
    )
    mailbox = forms.CharField(label="Mailbox that it lies in", required=False, max_length=320)
    recipient = forms.CharField(
        label="Recipient named in it",
        required=False,
        max_length=320,
        help_text="An address under To or Cc, in whichever mailbox the message lies.",
    )
    subject_part = forms.CharField(label="Part of the subject", required=False, max_length=500)
    message_id = forms.CharField(label="Message-ID", required=False, max_length=900)
    url = forms.CharField(label="Link in the text", required=False, max_length=2000)
    attachment_name = forms.CharField(label="Name of an attachment", required=False, max_length=255)
    attachment_sha256 = forms.RegexField(
        label="SHA-256 of an attachment", required=False, regex=r"\A[0-9A-Fa-f]{64}\Z",
        error_messages={"invalid": "A SHA-256 has 64 hexadecimal digits."},
    )  # fmt: skip
    since = forms.DateTimeField(label="Received since", required=False)
    until = forms.DateTimeField(label="Received until", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "text"
            if name in WINDOW:
                field.widget = forms.DateTimeInput(
                    attrs={"class": "text", "type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
                )

    @property
    def criteria(self) -> dict[str, Any]:
        told = {name: value for name, value in self.cleaned_data.items() if value}
        sender = told.pop("sender", "")
        if sender:
            told["sender" if "@" in sender.removeprefix("@") else "sender_domain"] = sender.removeprefix("@")
        if "message_id" in told:
            told["message_id"] = f"<{told['message_id'].strip('<>')}>"
        moments = {name: int(told.pop(name).timestamp()) for name in WINDOW if name in told}
        return {name: [value] for name, value in told.items()} | moments

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        given = {name for name, value in cleaned.items() if value}
        if self.errors:
            return cleaned
        if not given - set(WINDOW):
            raise ValidationError("Say what to look for: fill in at least one field besides the time.")
        if given <= OF_ATTACHMENTS:
            raise ValidationError(
                "Every message would have to be opened. Give a time, a sender or a mailbox as well."
            )
        if given >= set(WINDOW) and cleaned["since"] > cleaned["until"]:
            raise ValidationError("“Since” has to come before “until”.")
        return cleaned


WINDOW: Final = ("since", "until")
OF_ATTACHMENTS: Final = frozenset({"attachment_name", "attachment_sha256"})
