from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest

from actioncenter.accounts import attempts
from actioncenter.accounts.enums import Severity, Theme
from actioncenter.accounts.request import Request
from actioncenter.accounts.shortcuts import SHORTCUTS, USUAL, faults
from actioncenter.web.load import LARGEST


class SignInForm(AuthenticationForm):
    """The same words for an unknown name, a wrong password and a closed account."""

    error_messages: dict[str, Any] = {
        "invalid_login": "That name and password don't match.",
        "inactive": "That name and password don't match.",
        "too_many": "Too many failed attempts. Wait five minutes, then try again.",
    }
    request: HttpRequest

    @property
    def typed_name(self) -> str:
        """As typed, whatever it is."""
        return str(self.data.get("username", ""))

    @property
    def is_blocked(self) -> bool:
        return self.has_error(NON_FIELD_ERRORS, code="too_many")

    def clean(self) -> dict[str, Any]:
        """The password isn't even looked at where there were too many failures."""
        if attempts.too_many(self.typed_name, attempts.address_of(self.request)):
            raise ValidationError(self.error_messages["too_many"], code="too_many")
        return super().clean()


class ProofForm(forms.Form):
    """The password of the person signed in, under the same limit as signing in."""

    password = forms.CharField(strip=False, max_length=4096)

    def __init__(self, request: Request, data: Any = None) -> None:
        super().__init__(data)
        self.request = request

    @property
    def is_blocked(self) -> bool:
        return self.has_error(NON_FIELD_ERRORS, code="too_many")

    def say_wrong(self) -> None:
        self.add_error(None, ValidationError("That password doesn't match.", code="invalid_login"))

    def clean(self) -> dict[str, Any]:
        if attempts.too_many(self.request.user.username, attempts.address_of(self.request)):
            raise ValidationError(SignInForm.error_messages["too_many"], code="too_many")
        return self.cleaned_data


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(choices=[(theme.name.lower(), theme.name) for theme in Theme])

    def chosen(self) -> Theme:
        """Only after is_valid()."""
        return Theme[self.cleaned_data["theme"].upper()]


class NoticeFilter(forms.Form):
    """What of the notices is shown. `before` is the number of the last one of the page before."""

    severity = forms.ChoiceField(
        required=False, choices=[(severity.name.lower(), severity.name) for severity in Severity]
    )
    unread = forms.ChoiceField(required=False, choices=[("1", "unread only")])
    before = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)


class MailForm(forms.Form):
    by_mail = forms.BooleanField(required=False)


class ShortcutsForm(forms.Form):
    """Keys by command. An empty one means the usual key."""

    on = forms.BooleanField(required=False, label="Single keys work in lists")

    def __init__(self, data: Any = None, *, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial=dict(initial or {}))
        for each in SHORTCUTS:
            self.fields[each.command] = forms.CharField(
                required=False, max_length=3, strip=True, empty_value=each.keys, label=sentence(each.does)
            )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        wanted = {command: cleaned[command] for command in USUAL if command in cleaned}
        for command, fault in faults(wanted).items():
            self.add_error(command, fault)
        return cleaned

    @property
    def own(self) -> dict[str, str]:
        """What differs from the usual. Only after is_valid()."""
        return {
            command: self.cleaned_data[command]
            for command, keys in USUAL.items()
            if self.cleaned_data[command] != keys
        }

    @property
    def commands(self) -> list[forms.BoundField]:
        return [self[command] for command in USUAL]


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
