"""A template inside a list, rendered once for the same values.

Rows of a list come back unchanged with every poll, page and person; drawing one costs more than
reading it. What is drawn depends on the arguments alone, so nothing ever has to be thrown away.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from django import template
from django.conf import settings
from django.template.loader import get_template
from django.utils.safestring import SafeString

register = template.Library()

KEPT: Final = 1_500
"""Pieces of six kilobytes: about ten megabytes per process. Ages stand in them, so old ones soon serve nobody."""

Items = tuple[tuple[str, type, Any], ...]
"""With types, because text that is safe as HTML equals the same text that isn't, and 1 equals True."""


def forget() -> None:
    """Let every piece be drawn anew: for measuring what a first time costs."""
    _draw.cache_clear()


@register.simple_tag
def kept(name: str, row: Mapping[str, Any], **more: Any) -> SafeString:
    """Include the template `name` with `row` and further arguments, and with nothing else."""
    draw = _draw.__wrapped__ if settings.DEBUG else _draw
    return draw(name, _typed(row), _typed(more))


def _typed(values: Mapping[str, Any]) -> Items:
    return tuple((key, type(value), _fixed(value)) for key, value in values.items())


def _fixed(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(value.items())
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=KEPT)
def _draw(name: str, row: Items, more: Items) -> SafeString:
    fields = {key: dict(value) if kind is dict else value for key, kind, value in row}
    context = {"row": fields, **{key: value for key, _, value in more}}
    drawn: SafeString = get_template(name).render(context)  # type: ignore[assignment]
    return drawn
