"""How a page says no: a notice for htmx, a page for everybody else, always with the reason."""

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
