from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from actioncenter.accounts.enums import Theme


class SignInForm(AuthenticationForm):
    """The same words for an unknown name, a wrong password and a closed account."""

    error_messages: dict[str, Any] = {
        "invalid_login": "That name and password don't match.",
        "inactive": "That name and password don't match.",
    }


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(choices=[(theme.name.lower(), theme.name) for theme in Theme])

    def chosen(self) -> Theme:
        """Only after is_valid()."""
        return Theme[self.cleaned_data["theme"].upper()]
