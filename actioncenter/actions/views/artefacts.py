"""A file that an action brought back, to take away."""

import re
from typing import Final
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.db import Error
from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.models import Artefact
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.actions.queries import viewer_of
from actioncenter.actions.views.detail import page_url, visible_action
from actioncenter.actions.views.refusing import refused
from actioncenter.web.refusing import because

MEDIA: Final = frozenset({"application/zip", "application/gzip"})
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


@require_GET
def artefact_file(request: Request, number: int, public_id: UUID) -> HttpResponseBase:
    """It was written by a machine that may be in somebody else's hands: a browser saves it and looks at nothing."""
    action = visible_action(viewer_of(request), number)
    row = Artefact.objects.filter(action=action, public_id=public_id).first()
    if row is None:
        return _refused(request, number, 404, "It isn't kept any more, or never was.")
    try:
        blocks = row.blocks()
    except (OSError, InvalidToken):
        return _refused(request, number, 410, "The storage no longer has it as it was kept.")
    try:
        row.hand_out(by=actor_of(request))
    except (Refused, NotVisible) as refusal:
        blocks.close()
        if isinstance(refusal, NotVisible):
            raise Http404 from None
        because(request, refusal.code)
        return _refused(request, number, 403, str(refusal))
    except Error:
        # What the log can't be told of stays here.
        blocks.close()
        raise
    response = StreamingHttpResponse(
        blocks, content_type=row.media_type if row.media_type in MEDIA else "application/octet-stream"
    )
    name = _UNSAFE.sub("_", row.name).strip("._")[-120:] or "file"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Content-Length"] = str(row.size)
    response["Cache-Control"] = "no-store"
    return response


def _refused(request: Request, number: int, status: int, why: str) -> HttpResponseBase:
    return refused(request, status, "No file", why, way=(f"Back to A-{number}", page_url(number)))
