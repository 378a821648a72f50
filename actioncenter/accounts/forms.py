from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest

from actioncenter.accounts import attempts
from actioncenter.accounts.enums import Severity, Theme
from actioncenter.accounts.request import Request
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
