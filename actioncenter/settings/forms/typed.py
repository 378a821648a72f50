"""Form fields for a JSON schema: what a connector says of its settings, as a person fills it in."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, RegexValidator

Schema = Mapping[str, Any]
LONGEST: Final = 2000
"""Characters of a text for which the schema says nothing."""
MOST_LINES: Final = 200


class ListField(forms.CharField):
    """One item a line. An error names the line."""

    def __init__(self, *, items: Schema, least: int, most: int, **more: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 4}), **more)
        self.checks, self.least, self.most = checks_of(items), least, most

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        lines = [line.strip() for line in str(super().clean(value)).splitlines()]
        if not self.least <= len([line for line in lines if line]) <= self.most:
            raise ValidationError(f"Give {self.least} to {self.most} lines.")
        for number, line in enumerate(lines, start=1):
            for check in self.checks if line else ():
                try:
                    check(line)
                except ValidationError as error:
                    raise ValidationError(f"Line {number}: {' '.join(error.messages)}") from error
        return [line for line in lines if line]


def field_of(schema: Schema, *, required: bool) -> forms.Field:
    """The field for one property."""
    if "enum" in schema:
        return forms.TypedChoiceField(
            choices=_choices(schema["enum"], blank=not required and "default" not in schema),
            coerce=lambda text: next(each for each in schema["enum"] if str(each) == text),
            empty_value=None,
            widget=forms.Select(attrs={"class": "text pick"}),
            **_common(schema, required=required),
        )
    return MAKERS[schema.get("type", "string")](schema, required)


def _text(schema: Schema, required: bool) -> forms.Field:
    return forms.CharField(
        validators=checks_of(schema),
        max_length=schema.get("maxLength", LONGEST),
        min_length=schema.get("minLength"),
        widget=forms.TextInput(attrs={"class": "text", "autocomplete": "off"}),
        **_common(schema, required=required),
    )


def _number(kind: type[forms.IntegerField]) -> Callable[[Schema, bool], forms.Field]:
    def make(schema: Schema, required: bool) -> forms.Field:
        return kind(
            min_value=schema.get("minimum"), max_value=schema.get("maximum"), **_common(schema, required=required)
        )  # fmt: skip

    return make


def _switch(schema: Schema, required: bool) -> forms.Field:
    return forms.BooleanField(**_common(schema, required=False))


def _list(schema: Schema, required: bool) -> forms.Field:
    items, most = schema.get("items", {}), schema.get("maxItems", MOST_LINES)
    if "enum" in items:
        return forms.MultipleChoiceField(
            choices=_choices(items["enum"], blank=False),
            widget=forms.CheckboxSelectMultiple,
            **_common(schema, required=required),
        )
    least = schema.get("minItems", 0)
    more = _common(schema, required=required or least > 0)
    more["help_text"] = f"{more['help_text']} One a line.".strip()
    return ListField(items=items, least=least, most=most, **more)


MAKERS: Final[Mapping[str, Callable[[Schema, bool], forms.Field]]] = {
    "string": _text,
    "integer": _number(forms.IntegerField),
    "number": _number(forms.FloatField),
    "boolean": _switch,
    "array": _list,
}


def checks_of(schema: Schema) -> list[Callable[[Any], None]]:
    """Of one text, a line of a list among them."""
    checks: list[Callable[[Any], None]] = [_printable, MaxLengthValidator(schema.get("maxLength", LONGEST))]
    if "pattern" in schema:
        # JSON Schema's `$` is the very end; Python's lets a line break follow.
        pattern = re.sub(r"\$\Z", r"\\Z", schema["pattern"])
        checks.append(RegexValidator(pattern, message="It isn't written as it has to be."))
    if schema.get("format") == "ip-network":
        checks.append(_network)
    return checks


def _printable(text: str) -> None:
    if not text.isprintable():
        raise ValidationError("It holds a character that nobody can see.")


def _network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValidationError(f"{text} is no address or network.") from error


def _choices(values: Sequence[Any], *, blank: bool) -> list[tuple[str, str]]:
    return [*([("", "–")] if blank else []), *((str(each), str(each)) for each in values)]


def _common(schema: Schema, *, required: bool) -> dict[str, Any]:
    return {
        "label": schema.get("title", ""),
        "help_text": schema.get("description", ""),
        "initial": schema.get("default"),
        "required": required,
    }
