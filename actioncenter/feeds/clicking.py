"""The log of clicks. Written in batches beside requests: a click costs an append to a list.

What a process had in its memory is lost when it is killed outright, at most VIEWS_FLUSH_SECONDS of clicks.
"""

from typing import Final

from django.http import HttpRequest
from django.utils import timezone

from actioncenter.auditor.looking import Batches
from actioncenter.feeds.enums import ClickResult
from actioncenter.feeds.links import Link
from actioncenter.feeds.models import Click

clicks: Final = Batches(Click, "clicks")


def note(request: HttpRequest, link: Link, result: ClickResult) -> None:
    clicks.note(
        Click(
            at=timezone.now(),
            url=link.url,
            recipient=link.recipient,
            result=result,
            address=request.META.get("REMOTE_ADDR", "")[:60],
            agent="".join(filter(str.isprintable, request.headers.get("User-Agent", "")))[:300],
        )
    )
