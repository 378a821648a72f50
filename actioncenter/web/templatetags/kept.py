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

KEPT: Final = 4_000
"""Pieces of some kilobytes: about ten megabytes per process."""

Items = tuple[tuple[str, Any], ...]


def forget() -> None:
    """Let every piece be drawn anew: for measuring what a first time costs."""
    _draw.cache_clear()


@register.simple_tag
def kept(name: str, row: Mapping[str, Any], **more: Any) -> SafeString:
    """Include the template `name` with `row` and further arguments, and with nothing else."""
    draw = _draw.__wrapped__ if settings.DEBUG else _draw
    items = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in row.items())
    return draw(name, items, tuple(more.items()))


@lru_cache(maxsize=KEPT)
def _draw(name: str, row: Items, more: Items) -> SafeString:
    drawn: SafeString = get_template(name).render({"row": dict(row), **dict(more)})  # type: ignore[assignment]
    return drawn
