"""What admins say of a connector: the form of each kind comes from the kind's own schema."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms

from actioncenter.connectors import registry
from actioncenter.connectors.base import Kind, Permanent
from actioncenter.settings.forms.typed import field_of
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from actioncenter.settings.models.connectors import LAST_PRIORITY, LONGEST_NAME
from actioncenter.web.load import LARGEST

OPTION: Final = "option-"
SECRET: Final = "secret-"  # noqa: S105 - how fields are called
LONGEST_SECRET: Final = 4000


def kinds() -> list[tuple[str, str]]:
    """Name and label of every kind there is."""
    return [(name, registry.kind(name).LABEL) for name in sorted(registry.KINDS)]


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "") else str(value)


def described(instance: ConnectorInstance) -> list[tuple[str, str]]:
    """What is set, under the names that people know, in the order of the form."""
    try:
        schema = registry.kind(instance.kind).SETTINGS_SCHEMA["properties"]
    except registry.UnknownKind:
        schema = {}
    known = [(schema[name].get("title", name), name) for name in schema]
    odd = [(name, name) for name in instance.settings if name not in schema]
    told = instance.settings
    return [(label, _in_words(told[name])) for label, name in known + odd if name in told]


def secrets_of(instance: ConnectorInstance) -> list[tuple[str, str]]:
    """Label of each part of the secret and when it was set; empty while it isn't."""
    try:
        schema = registry.kind(instance.kind).SECRETS_SCHEMA["properties"]
    except registry.UnknownKind:
        return []
    return [(part["title"], str(instance.secret_dates.get(name, ""))) for name, part in schema.items()]


class ConnectorForm(forms.Form):
    """Of a new instance of a kind, or of one that is there: then what was set is the beginning."""

    name = forms.CharField(
        label="Name", max_length=LONGEST_NAME, widget=forms.TextInput(attrs={"class": "text", "autocomplete": "off"})
    )  # fmt: skip
    priority = forms.IntegerField(
        label="Priority", min_value=1, max_value=LAST_PRIORITY, initial=100,
        help_text="Where two connectors reach the same target, the lower number carries out what is decided.",
    )  # fmt: skip
    groups = forms.MultipleChoiceField(
        label="Device groups", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Only their devices are reached through it. None is every group.",
    )  # fmt: skip
    revision = forms.IntegerField(required=False, min_value=0, max_value=LARGEST, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Any,
        *,
        kind: str,
        groups: Iterable[DeviceGroup],
        instance: ConnectorInstance | None = None,
    ) -> None:
        self.kind: Kind = registry.kind(kind)
        self.instance, self.known = instance, {str(group.pk): group for group in groups}
        super().__init__(data, initial=self._begun())
        self.fields["groups"].choices = [(pk, group.name) for pk, group in self.known.items()]  # type: ignore[attr-defined]
        self._add_options()
        self._add_secrets()
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):
                field.widget.attrs["class"] = "text"

    def _begun(self) -> dict[str, Any]:
        row = self.instance
        if row is None:
            return {}
        chosen = [str(pk) for pk in row.groups.values_list("pk", flat=True)]
        options = {f"{OPTION}{name}": value for name, value in row.settings.items()}
        return {
            "name": row.name, "priority": row.priority, "revision": row.revision, "groups": chosen, **options
        }  # fmt: skip

    def _add_options(self) -> None:
        schema = self.kind.SETTINGS_SCHEMA
        for name, part in schema["properties"].items():
            self.fields[f"{OPTION}{name}"] = field_of(part, required=name in schema.get("required", ()))

    def _add_secrets(self) -> None:
        """Written, never read: an empty one keeps what is there."""
        schema = self.kind.SECRETS_SCHEMA
        for name, part in schema["properties"].items():
            at = str(self._dates.get(name, ""))
            told = f"Set on {at[:10]}. Leave it empty to keep it." if at else ""
            self.fields[f"{SECRET}{name}"] = forms.CharField(
                label=part["title"],
                help_text=f"{part.get('description', '')} {told}".strip(),
                required=name in schema.get("required", ()) and not at,
                strip=False,
                max_length=LONGEST_SECRET,
                widget=forms.PasswordInput(attrs={"class": "text", "autocomplete": "new-password"}),
            )

    @property
    def _dates(self) -> Mapping[str, Any]:
        return self.instance.secret_dates if self.instance else {}

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if self.errors:
            return told
        try:
            self.kind.validate(self.options)
        except Permanent as error:
            self.add_error(None, str(error))
        for name, part in self.kind.SECRETS_SCHEMA["properties"].items():
            self._must_be_given_again(name, part)
        return told

    def _must_be_given_again(self, name: str, part: Mapping[str, Any]) -> None:
        """A secret stays where it was meant to go: else whoever changes the address is told it."""
        row, moved = self.instance, self.options
        if row is None or not self._dates.get(name) or name in self.secret:
            return
        properties = self.kind.SETTINGS_SCHEMA["properties"]
        names = [
            properties[each]["title"]
            for each in part.get("goesTo", ())
            if moved.get(each) != row.settings.get(each, properties[each].get("default"))
        ]
        if names:
            self.add_error(
                f"{SECRET}{name}", f"Give it again: it would go somewhere else ({', '.join(names)})."
            )

    @property
    def options(self) -> dict[str, Any]:
        """What is left empty and has no default isn't kept."""
        told = {
            name.removeprefix(OPTION): value
            for name, value in self.cleaned_data.items()
            if name.startswith(OPTION)
        }
        known = self.kind.SETTINGS_SCHEMA["properties"]
        for name, value in told.items():
            if value is None and "default" in known[name]:
                told[name] = known[name]["default"]
        return {
            name: value
            for name, value in told.items()
            if value not in (None, "", []) or "default" in known[name]
        }

    @property
    def secret(self) -> dict[str, str]:
        return {
            name.removeprefix(SECRET): value
            for name, value in self.cleaned_data.items()
            if name.startswith(SECRET) and value
        }

    @property
    def chosen(self) -> list[DeviceGroup]:
        return [self.known[pk] for pk in self.cleaned_data["groups"]]

    @property
    def sections(self) -> dict[str, Any]:
        """Fields as the page shows them."""
        names = list(self.fields)
        return {
            "general": [self["name"], self["priority"]],
            "groups": self["groups"],
            "options": [self[name] for name in names if name.startswith(OPTION)],
            "secrets": [self[name] for name in names if name.startswith(SECRET)],
        }
