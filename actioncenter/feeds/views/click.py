"""Where signed links lead: on to what they name, or to a page that says why not.

Opening it changes nothing, because mail gateways open every link they see.
"""

from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from actioncenter.feeds import clicking, links
from actioncenter.feeds.canonical import digest
from actioncenter.feeds.enums import ClickResult
from actioncenter.feeds.models.blocks import is_blocked

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


@login_not_required
@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    try:
        link = links.open_(token)
    except links.BadLink as error:
        return _page(request, "bad", 400, why=str(error))
    if is_blocked([digest(each) for each in link.address.expressions()]):
        clicking.note(request, link, ClickResult.STOPPED)
        return _page(request, "stopped", 403, host=link.address.host)
    clicking.note(request, link, ClickResult.SENT_ON)
    return HttpResponseRedirect(link.url, headers=HEADERS)


def _page(request: HttpRequest, what: str, status: int, **said: str) -> HttpResponse:
    response = render(request, "feeds/click.html", {"what": what, **said}, status=status)
    for name, value in HEADERS.items():
        response[name] = value
    return response
