"""How a page says no: a notice for htmx, a page for everybody else, always with the reason."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from actioncenter.web import htmx


def refused(
    request: HttpRequest, status: int, title: str, text: str, *, way: tuple[str, str] | None = None
) -> HttpResponse:
    """`way` is what the person can do instead: a label and an address of ours."""
    template = "errors/_notice.html" if htmx.fragment(request) else "errors/page.html"
    context = {"code": status, "title": title, "text": text, "way": way}
    return htmx.live(render(request, template, context, status=status))


def because(request: HttpRequest, code: str, **more: Any) -> None:
    """Say why for the record of refused attempts (accounts/refusals.py); `more` is JSON."""
    request.refusal = {"code": code, **more}  # type: ignore[attr-defined]


def refusal_of(request: HttpRequest) -> Mapping[str, Any]:
    """What `because` was told; empty when nothing."""
    return getattr(request, "refusal", {})
