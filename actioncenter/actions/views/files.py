"""Pending or History as a file."""

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.exporting import FORMATS, export
from actioncenter.actions.queries import Tab, viewer_of
from actioncenter.actions.views.refusing import refused
from actioncenter.actions.views.state import ListState
from actioncenter.web.keyset import BadToken


@require_GET
def as_file(request: Request, tab: str, form: str) -> HttpResponseBase:
    """Exactly the list of that address, all its pages. A filter that means nothing is no file, rather than a wrong one."""
    if tab not in set(Tab) or form not in FORMATS:
        raise Http404
    viewer = viewer_of(request)
    try:
        state = ListState(tab=Tab(tab), query=request.GET, viewer=viewer)
    except BadToken:
        return _refused(request, "Its address was changed.")
    if state.complaints:
        return _refused(request, " ".join(state.complaints))
    pieces = export(state.listing, form, by=actor_of(request), address=state.url())
    response = StreamingHttpResponse(pieces, content_type=FORMATS[form])
    name = f"{tab}-{viewer.now:%Y%m%d-%H%M%S}Z.{form}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _refused(request: Request, why: str) -> HttpResponse:
    return refused(request, 400, "No file was made", why)
