"""Action on mail that was searched for: what it would touch, a comment, and the button."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from actioncenter.accounts.answers import Outcome, Unchanged, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import exploring, reasons
from actioncenter.actions.catalogue import BY_CODE, CATALOGUE
from actioncenter.actions.enums import ActionType, Decision
from actioncenter.actions.exploring import Choice, Figures
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.models.deciding import COMMENT_LIMIT
from actioncenter.actions.models.searching import OfMail
from actioncenter.actions.permissions import NotVisible, Refused, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.explorer import grouping_of, number_of, visible_search
from actioncenter.actions.views.refusing import denied
from actioncenter.web import htmx
from actioncenter.web.refusing import because
from investigations import words

Shown = dict[str, Any]
MOST_SENT: Final = 500
KEPT: Final = ("by", "in", "hit", "cluster", "ticks", "do")
"""Fields that say which messages are meant, and what is to be done."""


@require_http_methods(["GET", "HEAD", "POST"])
def act_on_mail(request: Request, pk: int) -> HttpResponse:
    viewer = viewer_of(request)
    search = visible_search(viewer, pk)
    sent = request.POST if request.method == "POST" else request.GET
    kind = BY_CODE.get(sent.get("do", ""))
    if kind is None or kind not in exploring.VERBS:
        raise Http404
    choice = Choice(search, **_chosen(sent))
    if choice.within and not search.hits.filter(pk=choice.within).exists():
        raise Http404
    if request.method == "POST":
        return _do(request, viewer, kind, choice, sent)
    return _page(request, viewer, kind, choice, sent)


def _chosen(sent: QueryDict) -> dict[str, Any]:
    """The ticks are the messages or clusters that are meant, or where it says so all but those. Raises BadRequest."""
    hits, clusters = _numbers(sent.getlist("hit")), _numbers(sent.getlist("cluster"))
    common = {"grouping": grouping_of(sent)}
    inside = number_of(sent.get("in", ""))
    if sent.get("ticks") == "but":
        return {**common, "within": inside, "spared": hits, "left_out": clusters}
    if sent.get("ticks") == "only" and not hits and not clusters:
        # Nothing picked is nothing, never everything.
        return {**common, "picked": (0,)}
    return {**common, "within": 0 if hits or clusters else inside, "picked": hits, "taken": clusters}


def _numbers(texts: Sequence[str]) -> tuple[int, ...]:
    if len(texts) > MOST_SENT:
        raise BadRequest(f"at most {MOST_SENT} ticks")
    return tuple(sorted({number_of(text) for text in texts if text}))


def _do(request: Request, viewer: Viewer, kind: ActionType, choice: Choice, sent: QueryDict) -> HttpResponse:
    back = f"{request.path}?{_kept(sent).urlencode()}"
    if refusal := viewer.rights.refusal(Verb.PROPOSE, OfMail(kind)):
        return denied(request, refusal, back=back)

    def effect() -> Outcome:
        try:
            made = exploring.take(
                choice, kind, by=actor_of(request), comment=sent.get("comment", ""), key=sent.get("idempotency_key", ""),
                approval_id=uuid4(), propose=bool(sent.get("propose")),
            )  # fmt: skip
        except Conflict as conflict:
            raise Unchanged({"conflict": conflict.code, "text": conflict.message}) from conflict
        return {"number": made[0].pk, "said": " ".join(map(_told, made))}

    def answer(outcome: Outcome) -> HttpResponse:
        if "conflict" in outcome:
            because(request, outcome["conflict"])
            return _page(request, viewer, kind, choice, sent, error=outcome["text"], status=409)
        return redirect(page_url(outcome["number"]))

    try:
        return once(request, effect, answer)
    except exploring.Limit as limit:
        because(request, limit.code)
        return _page(request, viewer, kind, choice, sent, error=str(limit), status=409)
    except Refused as refusal:
        return denied(request, refusal, back=back)
    except Invalid as wrong:
        return _page(request, viewer, kind, choice, sent, error=wrong.reason, status=422)
    except NotVisible as gone:
        raise Http404 from gone


def _told(action: Action) -> str:
    if action.decision != Decision.PENDING:
        return f"{action.label} is queued."
    if action.reason_code == "plan_first":
        return f"{action.label} is being looked up: approve it once it is known what it touches."
    return f"{action.label} is proposed and waits for a decision."


def _kept(sent: QueryDict) -> QueryDict:
    kept = QueryDict(mutable=True)
    for name in KEPT:
        kept.setlist(name, sent.getlist(name)[:MOST_SENT])
    return kept


def _page(
    request: Request, viewer: Viewer, kind: ActionType, choice: Choice, sent: QueryDict, *, error: str = "",
    status: int = 200,
) -> HttpResponse:  # fmt: skip
    entry, figures = CATALOGUE[kind], exploring.figures_of(choice)
    refusal = viewer.rights.refusal(Verb.PROPOSE, OfMail(kind))
    reason = (
        str(refusal or "")
        or exploring.why_not(choice, figures)
        or exploring.unsupported(kind, figures.instances)
    )
    alone = viewer.rights.refusal(Verb.RUN, OfMail(kind)) is None
    context: Shown = {
        "pk": choice.search.pk,
        "text": exploring.in_words(choice.search.criteria),
        "label": entry.short,
        "icon": entry.icon,
        "effect": words.EFFECTS[kind],
        "oneway": entry.inverse is None and not entry.is_inverse,
        "undo_days": entry.undo_days,
        "undo_note": entry.undo_note,
        "figures": figures,
        "whole": not choice.picked,
        "within": [value for value in choice.narrowed().values() if value],
        "taken": [list(part.narrowed().values()) for part in choice.parts() if choice.taken],
        "left_out": len(choice.left_out),
        "spared": len(choice.spared),
        "advised": exploring.ADVISED if figures.messages > exploring.ADVISED else 0,
        "why_not": reason,
        "comes": "" if reason else _comes(request, kind, choice, figures),
        "may_alone": alone,
        "kept": [(name, value) for name, values in _kept(sent).lists() for value in values],
        "comment": sent.get("comment", "")[:COMMENT_LIMIT],
        "error": error,
        "url": request.path,
    }
    return htmx.live(render(request, "actions/act_on_mail.html", context, status=status))


def _comes(request: Request, kind: ActionType, choice: Choice, figures: Figures) -> str:
    """What becomes of it once it is confirmed."""
    try:
        foreseen = exploring.foresee(choice, kind, figures, by=actor_of(request))
    except Refused as refusal:
        return str(refusal)
    if foreseen.password:
        return "It needs your password, given within the last 10 minutes; you are asked for it first."
    if not foreseen.waits:
        return "It runs at once."
    if foreseen.waits == "plan_first":
        return "First it is read again what the query touches. Then you approve it with the count before your eyes."
    why = "" if foreseen.waits == "proposed_by" else f" {reasons.render(foreseen.waits)}"
    people = f" {foreseen.people} people have to approve it." if foreseen.people > 1 else ""
    return f"It is proposed, and somebody else decides.{why}{people}"
