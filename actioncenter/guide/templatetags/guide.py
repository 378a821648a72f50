"""What every page shows of help and tour."""

from typing import Any

from django import template
from django.http import HttpRequest
from django.template import RequestContext

from actioncenter.guide.documents import address_of
from actioncenter.guide.places import place_of
from actioncenter.guide.steps import COOKIE, STEPS

register = template.Library()


@register.simple_tag(takes_context=True)
def help_here(context: RequestContext) -> str:
    """The piece of the documents about this page."""
    return address_of(place_of(_page(context.get("request"))))


@register.simple_tag(takes_context=True)
def tour(context: RequestContext) -> dict[str, Any] | None:
    """The step that this browser is at; None without a tour."""
    request = context.get("request")
    number = request.COOKIES.get(COOKIE, "") if request else ""
    if number not in {str(at + 1) for at in range(len(STEPS))}:
        return None
    at = int(number)
    step = STEPS[at - 1]
    return {
        "number": at,
        "total": len(STEPS),
        "title": step.title,
        "text": step.text,
        "here": _page(request) == step.page,
        "mark": step.mark,
        "before": at - 1,
        "after": at + 1 if at < len(STEPS) else 0,
    }


def _page(request: HttpRequest | None) -> str:
    found = request.resolver_match if request else None
    return found.view_name if found else ""
