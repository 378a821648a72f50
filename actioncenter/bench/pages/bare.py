"""The same page without its work: sign-in, layout and navigation as ever, the content ready-made, no SQL of its own."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString

from actioncenter.actions.queries import viewer
from actioncenter.live import context

START, END = '<header class="top">', '<div class="notices"'

prepared: dict[str, tuple[SafeString, object, object]] = {}
"""Content, viewer and counts by tab."""


def prepare(tab: str, page: bytes, looks: object, counts: object) -> None:
    """Keep the content of a page that was answered just now. Raises ValueError for a page of another build."""
    text = page.decode()
    # Our own page, rendered and escaped a moment ago.
    content = SafeString(text[text.index(START) : text.index(END)])
    prepared[tab] = content, looks, counts


def bare(request: HttpRequest, tab: str) -> HttpResponse:
    content, looks, counts = prepared[tab]
    setattr(request, viewer.ATTRIBUTE, looks)
    setattr(request, context.ATTRIBUTE, counts)
    return render(request, "bench/bare.html", {"content": content})
