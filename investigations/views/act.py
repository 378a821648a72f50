"""One action by hand on a device: what it would do, a comment, and the button."""

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from actioncenter.accounts.answers import Outcome, Unchanged, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import by_hand, looking, reasons
from actioncenter.actions.by_hand import Foreseen, Intent
from actioncenter.actions.catalogue import BY_CODE, CATALOGUE, ParameterError
from actioncenter.actions.enums import ActionType, Decision
from actioncenter.actions.forms import parameter_form
from actioncenter.actions.models import Action, ActionTarget, Conflict, Invalid
from actioncenter.actions.models.deciding import COMMENT_LIMIT
from actioncenter.actions.models.target import UNDO_FAILED_THERE
from actioncenter.actions.permissions import NotVisible, Refused, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.refusing import denied
from actioncenter.settings.access import within
from actioncenter.web import htmx
from actioncenter.web.refusing import because
from investigations import words
from investigations.enums import ACTIVE_STATES
from investigations.models import Device, Evidence, Investigation
from investigations.queries import routes_for
from investigations.views import foreseen
from investigations.views.device import head_of, visible_device

Shown = dict[str, Any]
OFFERED: Final = frozenset(by_hand.ON_DEVICES) | {
    inverse for kind in by_hand.ON_DEVICES if (inverse := CATALOGUE[kind].inverse)
}


class CommentForm(forms.Form):
    comment = forms.CharField(
        max_length=COMMENT_LIMIT,
        strip=True,
        error_messages={"required": "Say why: a comment is required for what is done by hand."},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: Request, number: int, code: str) -> HttpResponse:
    viewer = viewer_of(request)
    kind = BY_CODE.get(code)
    if kind is None or kind not in OFFERED:
        raise Http404
    intent = _intent(kind, visible_device(viewer, number))
    if request.method == "POST" and "look" in request.POST:
        return _look(request, intent)
    if request.method == "POST":
        return _do(request, viewer, kind, intent)
    return _page(request, viewer, intent)


def _intent(kind: ActionType, device: Device) -> Intent:
    """What takes something back has what holds there; it is without where nothing does any more."""
    if not CATALOGUE[kind].is_inverse:
        return Intent(kind, device)
    holding = by_hand.in_force_on([device])[device.pk]
    return Intent(
        kind, device, holds=next((row for row in holding if row.action.entry.inverse == kind), None)
    )


def _look(request: Request, intent: Intent) -> HttpResponse:
    """Somebody wants to know what would stop. What is typed in the other form is not part of it."""

    def effect() -> Outcome:
        return {"look": str(looking.ask(intent, by=actor_of(request)).public_id)}

    try:
        return once(request, effect, lambda outcome: redirect(f"{request.path}?look={outcome['look']}"))
    except Refused as refusal:
        return denied(request, refusal, back=request.path)
    except Invalid as wrong:
        return _page(request, viewer_of(request), intent, error=wrong.reason, status=422)


def _do(request: Request, viewer: Viewer, kind: ActionType, intent: Intent) -> HttpResponse:
    if refusal := viewer.rights.refusal(Verb.PROPOSE, intent):
        return denied(request, refusal, back=request.path)
    comment = CommentForm(request.POST)
    values = parameter_form(intent.entry, {}, request.POST)
    if not comment.is_valid() or not values.is_valid():
        error = next(iter(comment.errors.get("comment", ["One of the values can't be."])))
        return _page(request, viewer, intent, error=str(error), form=values, status=422)

    def effect() -> Outcome:
        # Read again: a form sent twice waits here for the first.
        wanted = _intent(kind, visible_device(viewer, intent.device.pk))
        wanted = Intent(kind, wanted.device, values.cleaned_data, holds=wanted.holds)
        try:
            action = by_hand.take(
                wanted,
                by=actor_of(request),
                comment=comment.cleaned_data["comment"],
                key=request.POST.get("idempotency_key", ""),
            )
        except Conflict as conflict:
            raise Unchanged({"conflict": conflict.code, "text": conflict.message}) from conflict
        return {"number": action.pk, "said": told(action)}

    def answer(outcome: Outcome) -> HttpResponse:
        if "conflict" in outcome:
            because(request, outcome["conflict"])
            now = _intent(kind, visible_device(viewer, intent.device.pk))
            return _page(request, viewer, now, error=outcome["text"], form=values, status=409)
        return redirect(page_url(outcome["number"]))

    try:
        return once(request, effect, answer)
    except Refused as refusal:
        return denied(request, refusal, back=request.path)
    except (Invalid, ParameterError) as wrong:
        return _page(request, viewer, intent, error=wrong.reason, form=values, status=422)
    except NotVisible as gone:
        raise Http404 from gone


def told(action: Action) -> str:
    if action.decision == Decision.PENDING:
        return f"{action.label} is proposed and waits for a decision."
    return f"{action.label} is queued."


def _page(
    request: Request,
    viewer: Viewer,
    intent: Intent,
    *,
    error: str = "",
    form: forms.Form | None = None,
    status: int = 200,
) -> HttpResponse:
    look = foreseen.look_at(intent, request.GET.get("look", ""), viewer)
    if htmx.fragment(request) and htmx.is_current(request, look["tag"]):
        return htmx.not_modified(look["tag"])
    routes, there = routes_for([intent.device]), by_hand.open_on([intent.device])
    done = by_hand.holds_already(intent)
    reason = (
        f"{done.label} holds there already."
        if done
        else by_hand.why_not(intent, viewer.rights, routes, there)
    )
    entry = intent.entry
    context: Shown = {
        "device": head_of(intent.device, viewer),
        "title": f"{entry.label}: {intent.device.name}",
        "label": entry.label,
        "code": entry.code,
        "icon": entry.icon,
        "effect": words.EFFECTS[intent.type],
        "takes_back": _takes_back(intent, viewer),
        "oneway": entry.inverse is None and not entry.is_inverse,
        "undo_note": entry.undo_note,
        "investigations": _open_investigations(intent.device, viewer),
        "beside": _beside(intent, there),
        "reach": foreseen.reach_of(intent, there),
        "look": look,
        "why_not": reason,
        "comes": "" if reason else comes(lambda: by_hand.foresee(intent, routes, by=actor_of(request))),
        "form": form
        or parameter_form(entry, {name: each.default for name, each in entry.parameters.items()}),
        "comment": request.POST.get("comment", "")[:COMMENT_LIMIT],
        "error": error,
    }
    template = "investigations/_look.html" if htmx.fragment(request) else "investigations/act.html"
    return htmx.live(render(request, template, context, status=status), look["tag"])


def _takes_back(intent: Intent, viewer: Viewer) -> Shown | None:
    if intent.holds is None or not viewer.rights.sees(intent.holds.action):
        return None
    action = intent.holds.action
    return {"label": action.label, "url": page_url(action.pk), "what": action.entry.short.lower()}


def _open_investigations(device: Device, viewer: Viewer) -> int:
    open_ones = Investigation.objects.filter(state__in=[state.value for state in ACTIVE_STATES])
    seen = within(Evidence.objects.filter(device=device), viewer.scope).values("investigation")
    return within(open_ones.filter(pk__in=seen), viewer.scope).count()


def _beside(intent: Intent, there: Any) -> list[Shown]:
    """What is open in the same lane, and what keeps it closed."""
    entries = [
        {
            "label": row.action.label,
            "url": page_url(row.action_id),
            "text": f"{row.action.entry.short} {by_hand.state_of(row.action)}.",
        }
        for row in there.get(intent.lane, ())
    ]
    blocking = ActionTarget.objects.filter(blocks=True, lane=intent.lane).select_related("action").first()
    if blocking:
        url = page_url(blocking.action_id)
        entries.append({"label": blocking.action.label, "url": url, "text": UNDO_FAILED_THERE})
    return entries


def comes(foresee: Callable[[], Foreseen]) -> str:
    """What becomes of it once it is confirmed, as whoever foresees it says; `foresee` may raise Refused."""
    try:
        foreseen = foresee()
    except Refused as refusal:
        return str(refusal)
    if foreseen.password:
        return "It needs your password, given within the last 10 minutes; you are asked for it first."
    if not foreseen.waits:
        return "It runs at once."
    why = "" if foreseen.waits == "proposed_by" else f" {reasons.render(foreseen.waits)}"
    people = f" {foreseen.people} people have to approve it." if foreseen.people > 1 else ""
    return f"It is proposed, and somebody else decides.{why}{people}"
