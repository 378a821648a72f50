"""A form made from a JSON schema: each kind of value, and errors that name the field and the reason."""

from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from actioncenter.connectors import registry
from actioncenter.settings.forms.typed import field_of

LINES = {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 3, "default": []}
NETWORKS = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "ip-network"}}

TAKEN: list[tuple[dict[str, Any], Any, Any]] = [
    ({"type": "string"}, " a host ", "a host"),
    ({"type": "string", "pattern": "^[a-z]+$"}, "abc", "abc"),
    ({"type": "integer", "minimum": 1, "maximum": 9}, "7", 7),
    ({"type": "number", "minimum": 0.5}, "0.75", 0.75),
    ({"type": "boolean"}, "on", True),
    ({"type": "boolean"}, None, False),
    ({"enum": ["tls", "none"]}, "none", "none"),
    ({"enum": [1, 2]}, "2", 2),
    (LINES, "a\r\n\r\n b \n", ["a", "b"]),
    (LINES, "", []),
    (NETWORKS, "10.0.0.0/8\nfd00::1", ["10.0.0.0/8", "fd00::1"]),
    ({"type": "array", "items": {"enum": ["a", "b"]}}, ["b"], ["b"]),
]
REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "string", "maxLength": 3}, "four", "at most 3"),
    ({"type": "string", "pattern": "^[a-z]+$"}, "abc1", "isn't written"),
    ({"type": "string"}, "a\u202eb", "nobody can see"),
    ({"type": "string"}, "a\x00b", "Null characters"),
    ({"type": "integer", "minimum": 1, "maximum": 9}, "10", "less than or equal to 9"),
    ({"type": "integer"}, "many", "whole number"),
    ({"type": "number", "minimum": 2}, "1.5", "greater than or equal to 2"),
    ({"type": "number"}, "nan", "number"),
    ({"enum": ["tls", "none"]}, "ssl", "ssl is not one of"),
    (LINES, "a\nlonger", "Line 2: Ensure this value has at most 5"),
    (LINES, "a\nb\nc\nd", "0 to 3 lines"),
    (NETWORKS, "10.0.0.1\nsomewhere", "Line 2: somewhere is no address or network"),
    (NETWORKS, "10.0.0.1/8", "is no address or network"),
    (NETWORKS, "", "required"),
    ({"type": "array", "items": {"enum": ["a", "b"]}}, ["c"], "c is not one of"),
]


@pytest.mark.parametrize(("schema", "given", "wanted"), TAKEN)
def test_what_is_taken(schema: dict[str, Any], given: Any, wanted: Any) -> None:
    found = field_of(schema, required=False).clean(given)
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(("schema", "given", "said"), REFUSED)
def test_what_is_refused_and_why(schema: dict[str, Any], given: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        field_of(schema, required=False).clean(given)
    assert said in " ".join(caught.value.messages)


def test_a_list_is_shown_as_it_is_typed() -> None:
    class Form(forms.Form):
        names = field_of(LINES, required=False)

    assert "one\ntwo</textarea>" in str(Form(initial={"names": ["one", "two"]})["names"])


@pytest.mark.parametrize("name", sorted(registry.KINDS))
def test_every_setting_of_every_kind_has_a_field_with_a_name_and_its_default(name: str) -> None:
    kind = registry.kind(name)
    schema = kind.SETTINGS_SCHEMA
    for key, part in schema["properties"].items():
        field = field_of(part, required=key in schema.get("required", ()))
        assert field.label, key
        assert field.initial == part.get("default")
        if key not in schema.get("required", ()):
            shown = field.prepare_value(field.initial) if hasattr(field, "prepare_value") else field.initial
            assert field.clean(shown) in (part.get("default"), "", None), key
    for part in kind.SECRETS_SCHEMA["properties"].values():
        assert part["title"]
        assert set(part.get("goesTo", ())) <= set(schema["properties"])
