"""Cuts text to what its column holds: PostgreSQL refuses the row otherwise."""

from functools import cache
from typing import Any

from django.db import models


@cache
def _lengths(model: type[models.Model]) -> dict[str, int]:
    return {
        field.name: field.max_length
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField) and field.max_length
    }


def fitted(model: type[models.Model], values: dict[str, Any]) -> dict[str, Any]:
    """Ids are checked at the entrance and never reach their limit; what is cut here is only shown."""
    lengths = _lengths(model)
    return {
        name: value[: lengths[name]] if name in lengths and isinstance(value, str) else value
        for name, value in values.items()
    }
