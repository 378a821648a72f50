"""Forms that are carried out once and answered by a page that tells what was done, or why not."""

from collections.abc import Callable

from django.http import Http404, HttpResponse

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request
from actioncenter.actions.models import Conflict, Invalid
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.web.refusing import refused


def told_once(
    request: Request,
    change: Callable[[], str],
    *,
    way: Callable[[], HttpResponse],
    again: Callable[[str], HttpResponse],
) -> HttpResponse:
    """`change` returns what to tell the person, `way` leads on, `again` is the form with what was wrong in it."""

    def effect() -> Outcome:
        try:
            return {"said": change()}
        except Conflict as conflict:
            return {"lost": conflict.message}

    def answer(outcome: Outcome) -> HttpResponse:
        return refused(request, 409, "Not recorded", outcome["lost"]) if "lost" in outcome else way()

    try:
        return once(request, effect, answer)
    except Invalid as invalid:
        return again(invalid.reason)
    except Refused as refusal:
        return refused(request, 403, "Not allowed", f"{refusal} Nothing was recorded.")
    except NotVisible as gone:
        raise Http404 from gone
