"""What admins send."""

from django import forms

from actioncenter.feeds.enums import LABELS, FeedFormat


class ConsumerForm(forms.Form):
    name = forms.CharField(max_length=80, error_messages={"required": "Give it a name."})
    format = forms.TypedChoiceField(
        choices=[(each.value, LABELS[each]) for each in FeedFormat],
        coerce=lambda value: FeedFormat(int(value)),
        error_messages={"required": "Choose what it takes.", "invalid_choice": "There is no such format."},
    )

    @property
    def complaint(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)
