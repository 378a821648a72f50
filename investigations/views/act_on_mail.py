"""One action by hand on a mailbox, or on picked copies of a message: what it would do, a comment, and the button."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from actioncenter.accounts.answers import Outcome, Unchanged, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import exploring, mail_by_hand
from actioncenter.actions.catalogue import BY_CODE
from actioncenter.actions.enums import ActionType
from actioncenter.actions.mail_by_hand import Errand
from actioncenter.actions.models import Conflict, Invalid
from actioncenter.actions.models.deciding import COMMENT_LIMIT
from actioncenter.actions.permissions import NotVisible, Refused, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.refusing import denied
from actioncenter.web import htmx
from actioncenter.web.refusing import because
from investigations import words
from investigations.views.act import CommentForm, comes, told
from investigations.views.mailbox import delegate_of, errands_of, head_of, in_force_on, visible_mailbox
from investigations.views.message import head_of as head_of_message
from investigations.views.message import visible_copies

Shown = dict[str, Any]
NAMED: Final = 20
MOST_SENT: Final = 500


@dataclass(frozen=True, slots=True)
class Room:
    """Where the form stands; `errand` reads anew what it would do, because another form may have been quicker."""

    url: str
    label: str
    title: str
    errand: Callable[[], Errand]
    picked: Sequence[str] = ()


@require_http_methods(["GET", "HEAD", "POST"])
def act_on_mailbox(request: Request, number: int, code: str) -> HttpResponse:
    viewer = viewer_of(request)
    box = visible_mailbox(viewer, number)

    def errand() -> Errand:
        found = errands_of(box, in_force_on(box), viewer).get(code)
        if found is None:
            raise Http404
        return found

    head = head_of(box, viewer)
    return _answer(request, viewer, Room(head["url"], box.address, box.address, errand))


@require_http_methods(["GET", "HEAD", "POST"])
def act_on_message(request: Request, key: str, code: str) -> HttpResponse:
    viewer, kind = viewer_of(request), BY_CODE.get(code)
    found = visible_copies(viewer, key)
    if kind is None or kind not in mail_by_hand.ON_MESSAGES:
        raise Http404
    query = request.POST if request.method == "POST" else request.GET
    sent = set(query.getlist("copy")[: MOST_SENT + 1])
    if len(sent) > MOST_SENT:
        raise BadRequest(f"at most {MOST_SENT} copies")
    picked = [copy.ref for copy in found if query.get("all") or copy.ref in sent]
    head = head_of_message(key, found, viewer)
    return _answer(
        request, viewer,
        Room(head["url"], "Message", head["subject"], lambda: _of_copies(viewer, key, kind, picked), picked),
    )  # fmt: skip


def _of_copies(viewer: Viewer, key: str, kind: ActionType, picked: Sequence[str]) -> Errand:
    meant = [copy for copy in visible_copies(viewer, key) if copy.ref in picked]
    evidence = [copy.evidence for copy in meant if copy.evidence]
    return Errand(kind, [copy.draft for copy in meant], evidence)


def _answer(request: Request, viewer: Viewer, room: Room) -> HttpResponse:
    errand = room.errand()
    if request.method != "POST":
        return _page(request, viewer, room, errand)
    if refusal := viewer.rights.refusal(Verb.PROPOSE, errand):
        return denied(request, refusal, back=request.path)
    return _do(request, viewer, room, errand)


def _do(request: Request, viewer: Viewer, room: Room, errand: Errand) -> HttpResponse:
    comment = CommentForm(request.POST)
    if not comment.is_valid():
        return _page(request, viewer, room, errand, error=str(comment.errors["comment"][0]), status=422)

    def effect() -> Outcome:
        try:
            made = mail_by_hand.take(
                room.errand(), by=actor_of(request), comment=comment.cleaned_data["comment"],
                key=request.POST.get("idempotency_key", ""), approval_id=uuid4(),
            )  # fmt: skip
        except Conflict as conflict:
            raise Unchanged({"conflict": conflict.code, "text": conflict.message}) from conflict
        return {"number": made[0].pk, "said": " ".join(map(told, made))}

    def answer(outcome: Outcome) -> HttpResponse:
        if "conflict" in outcome:
            because(request, outcome["conflict"])
            return _page(request, viewer, room, room.errand(), error=outcome["text"], status=409)
        return redirect(page_url(outcome["number"]))

    try:
        return once(request, effect, answer)
    except exploring.Limit as limit:
        because(request, limit.code)
        return _page(request, viewer, room, errand, error=str(limit), status=409)
    except Refused as refusal:
        return denied(request, refusal, back=request.path)
    except Invalid as wrong:
        return _page(request, viewer, room, errand, error=wrong.reason, status=422)
    except NotVisible as gone:
        raise Http404 from gone


def _page(
    request: Request, viewer: Viewer, room: Room, errand: Errand, *, error: str = "", status: int = 200
) -> HttpResponse:
    entry, twins = errand.entry, mail_by_hand.twins_of(errand)
    done = mail_by_hand.holds_already(errand)
    reason = (
        f"{done.label} holds there already." if done else mail_by_hand.why_not(errand, viewer.rights, twins)
    )
    left = mail_by_hand.left_of(errand, twins)
    boxes = sorted({errand.holds.on_name} if errand.holds else {target.on_name for target in left.targets})
    context: Shown = {
        "room": room,
        "label": entry.short,
        "icon": entry.icon,
        "effect": words.EFFECTS[errand.type],
        "delegate": delegate_of(errand),
        "number": len(left.targets) if errand.type in mail_by_hand.ON_MESSAGES else 0,
        "boxes": boxes[:NAMED],
        "box_count": len(boxes),
        "more": max(0, len(boxes) - NAMED),
        "critical": errand.critical,
        "evidence": len(errand.evidence),
        "left_out": [
            {"label": twin.label, "url": page_url(twin.pk)} for twin in dict.fromkeys(twins.values())
        ],
        "oneway": entry.inverse is None and not entry.is_inverse,
        "takes_back": {"label": errand.holds.action.label, "url": page_url(errand.holds.action_id)}
        if errand.holds
        else None,
        "undo_days": entry.undo_days,
        "undo_note": entry.undo_note,
        "why_not": reason,
        "comes": "" if reason else comes(lambda: mail_by_hand.foresee(left, by=actor_of(request))),
        "comment": request.POST.get("comment", "")[:COMMENT_LIMIT],
        "error": error,
        "url": request.path,
    }
    return htmx.live(render(request, "investigations/act_on_mail.html", context, status=status))
