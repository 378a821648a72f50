"""What one message of a search says: asked for by a form, brought by the runner, shown as text to who asked."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import exploring
from actioncenter.actions.enums import ActionType, JobState
from actioncenter.actions.models import MailHit
from actioncenter.actions.models.searching import OfMail, contents
from actioncenter.actions.permissions import Refused, Verb
from actioncenter.actions.queries import Viewer, runners, viewer_of
from actioncenter.actions.queries.mailboxes import numbers_of
from actioncenter.actions.views.explorer import visible_search
from actioncenter.actions.views.refusing import denied
from actioncenter.web import htmx
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when

SHOWN: Final = 4_000
"""Characters of one piece of text that a page shows without cutting."""


@require_http_methods(["GET", "HEAD", "POST"])
def mail_message(request: Request, pk: int, hit: int) -> HttpResponse:
    viewer = viewer_of(request)
    found = load(visible_search(viewer, pk).hits.all(), hit)
    if request.method != "POST":
        return _page(request, viewer, found)

    def effect() -> Outcome:
        return {"job": found.open(by=actor_of(request)).pk}

    try:
        return once(request, effect, lambda _: redirect(request.path))
    except Refused as refusal:
        return denied(request, refusal, back=request.path)


def _page(request: Request, viewer: Viewer, hit: MailHit) -> HttpResponse:
    """A right that is gone takes away what was brought before, too."""
    refusal = viewer.rights.refusal(Verb.RUN, OfMail(ActionType.QUARANTINE_EMAIL))
    job = None if refusal else hit.opened_by(viewer.user.pk).first()
    alone = not runners.present().exists()
    tag = hashlib.sha256(repr((job and (job.pk, job.state), alone)).encode()).hexdigest()[:24]
    wanted = htmx.fragment(request)
    if wanted and htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    inside = contents(job) if job is not None else None
    box = numbers_of([hit.mailbox], viewer.scope).get(hit.mailbox)
    context: dict[str, Any] = {
        "hit": hit,
        "mailbox_url": reverse("investigations:mailbox", args=[box]) if box else "",
        "message_url": reverse("investigations:message", args=[hit.message_key]) if hit.message_key else "",
        "search": {"pk": hit.search_id, "text": exploring.in_words(hit.search.criteria)},
        "subject": hit.subject or "(no subject)",
        "at": when(hit.received, viewer.now),
        "at_iso": iso(hit.received),
        "why_not": f"Looking inside is for those who may act on mail. {refusal}" if refusal else "",
        "waiting": job is not None and job.state <= JobState.RUNNING,
        "failed": job.error if job is not None and job.state == JobState.FAILED else "",
        "inside": inside,
        "parts": list(_parts(inside["text"])) if inside else [],
        "alone": alone,
        "ptag": tag,
    }
    template = "actions/_mail_message.html" if wanted else "actions/mail_message.html"
    return htmx.live(render(request, template, context), tag)


def _parts(text: str) -> Iterator[str]:
    """Pieces that are shown whole, each ending with a line where it has one."""
    while text:
        end = text.rfind("\n", 0, SHOWN) if len(text) > SHOWN else len(text)
        yield text[: end if end > 0 else SHOWN]
        text = text[end if end > 0 else SHOWN :].removeprefix("\n")
