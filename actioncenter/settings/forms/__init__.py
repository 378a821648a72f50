"""What admins send."""

from django import forms

from actioncenter.settings.enums import AutomationLevel, StopKind, StopScope
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


class SeenForm(forms.Form):
    """What the page showed, where nothing else is asked."""

    revision = forms.IntegerField(min_value=0, max_value=LARGEST)


class StopForm(forms.Form):
    """What to stop or pause. An empty one stops everything: the button on every page asks nothing."""

    SEPARATOR = ":"
    LONGEST = 30 * 24 * 60

    kind = forms.ChoiceField(required=False, choices=[("stop", "Stop"), ("pause", "Pause")])
    what = forms.CharField(required=False, max_length=40)
    """`all`, or a scope and a number such as `group:3`; `investigation` takes the number beside it."""
    investigation = forms.IntegerField(required=False, min_value=1, max_value=LARGEST)
    minutes = forms.IntegerField(required=False, min_value=1, max_value=LONGEST)
    reason = forms.CharField(required=False, max_length=500)

    def clean(self) -> dict[str, object]:
        told = super().clean() or {}
        told["kind"] = StopKind.PAUSE if told.get("kind") == "pause" else StopKind.STOP
        if told.get("minutes") and told["kind"] == StopKind.STOP:
            raise forms.ValidationError("Only a pause ends by itself. Leave the minutes out, or pause.")
        name, _, number = str(told.get("what") or "all").partition(self.SEPARATOR)
        scope = {scope.name.lower(): scope for scope in StopScope}.get(name)
        if scope == StopScope.INVESTIGATION:
            number = str(told.get("investigation") or "")
        is_number = number.isascii() and number.isdigit() and int(number) <= LARGEST
        if scope is None or is_number == (scope == StopScope.ALL):
            raise forms.ValidationError("Choose what to stop.")
        return {**told, "scope": scope, "value": int(number) if is_number else None}

    @property
    def complaint(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)
