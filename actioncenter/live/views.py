"""Polls that belong to no page of their own."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from actioncenter.actions.queries import viewer_of
from actioncenter.live.context import counts_of
from actioncenter.live.tag import list_tag
from actioncenter.web import htmx


@require_GET
def counts(request: HttpRequest) -> HttpResponse:
    """The numbers in the navigation."""
    tag = list_tag(viewer_of(request), counts_of(request), "nav")
    if htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    return htmx.live(render(request, "partials/_nav_live.html"), tag)
