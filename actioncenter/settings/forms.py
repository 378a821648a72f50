"""What admins send."""

from django import forms

from actioncenter.settings.enums import AutomationLevel
from actioncenter.web.load import LARGEST


class LevelForm(forms.Form):
    """`revision` is what the page showed; None where it doesn't say."""

    level = forms.TypedChoiceField(
        choices=[(level.value, level.name) for level in AutomationLevel],
        coerce=lambda value: AutomationLevel(int(value)),
        error_messages={"required": "Choose a level.", "invalid_choice": "There is no such level."},
    )
    comment = forms.CharField(required=False, max_length=2000)
    revision = forms.IntegerField(required=False, min_value=0, max_value=LARGEST)

    @property
    def complaint(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)
