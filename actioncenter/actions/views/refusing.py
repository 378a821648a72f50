"""How a page says no: a notice for htmx, a page for everybody else, always with the reason."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from actioncenter.web import htmx


def refused(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    template = "errors/_notice.html" if htmx.fragment(request) else "errors/page.html"
    context = {"code": status, "title": title, "text": text}
    return htmx.live(render(request, template, context, status=status))
