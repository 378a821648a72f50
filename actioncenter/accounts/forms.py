from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest

from actioncenter.accounts import attempts
from actioncenter.accounts.enums import Theme


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


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(choices=[(theme.name.lower(), theme.name) for theme in Theme])

    def chosen(self) -> Theme:
        """Only after is_valid()."""
        return Theme[self.cleaned_data["theme"].upper()]
