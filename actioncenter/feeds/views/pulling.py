"""What consumers pull, each in the one format that it was made for."""

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from actioncenter.feeds import publishing
from actioncenter.feeds.enums import FILES, FeedFormat
from actioncenter.feeds.models import BlockList, Consumer

CHUNK: Final = 65_536
FORMATS: Final = {file: format for format, file in FILES.items()}
NO_STORE: Final = "no-store"


@login_not_required
@require_safe
def pull(request: HttpRequest, file: str, token: str = "") -> HttpResponseBase:
    """With its token as a bearer, as the password of Basic, or in the address where a program can do no better."""
    consumer = Consumer.of_token(token or _said(request))
    if consumer is None:
        headers = {"WWW-Authenticate": 'Basic realm="block list"', "Cache-Control": NO_STORE}
        return HttpResponse("A token is needed.\n", status=401, content_type="text/plain", headers=headers)
    format = FeedFormat(consumer.format)
    if FORMATS.get(file) is not format:
        said = f"This token is for {FILES[format]}.\n"
        return HttpResponse(said, status=403, content_type="text/plain", headers={"Cache-Control": NO_STORE})
    return _answer(request, consumer, format)


def _answer(request: HttpRequest, consumer: Consumer, format: FeedFormat) -> HttpResponseBase:
    address = request.META.get("REMOTE_ADDR", "")
    version = BlockList.current()
    headers = {"ETag": publishing.etag(version, format), "Cache-Control": "private, no-cache"}
    held = [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]
    if headers["ETag"] in held:
        consumer.took(version, address=address)
        return HttpResponse(status=304, headers=headers)
    found = publishing.published(format)
    headers |= {"ETag": publishing.etag(found.version, format), "Content-Length": str(len(found.body))}
    if request.method == "HEAD":
        return HttpResponse(content_type=publishing.TYPES[format], headers=headers)
    body = _whole(found, consumer, address)
    return StreamingHttpResponse(body, content_type=publishing.TYPES[format], headers=headers)


def _whole(found: publishing.Published, consumer: Consumer, address: str) -> Iterator[bytes]:
    """It counts as pulled once the last of it was taken from us."""
    for start in range(0, len(found.body), CHUNK):
        yield found.body[start : start + CHUNK]
    consumer.took(found.version, address=address)


def _said(request: HttpRequest) -> str:
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
