"""One decision on many actions of one type; every one gets its own answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import actor_of
from actioncenter.actions.abilities import ASKS_HARDER
from actioncenter.actions.forms import BulkForm, Seen
from actioncenter.actions.models import Action, Conflict, Invalid
from actioncenter.actions.models.deciding import RowResult
from actioncenter.actions.models.undoing import selected
from actioncenter.actions.permissions import Refused, Verb
from actioncenter.actions.queries import viewer_of
from actioncenter.actions.rows import shown_target
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.lists import listed
from actioncenter.actions.views.looking import recounted_all
from actioncenter.actions.views.lost import in_words, lost
from actioncenter.actions.views.matching import matching
from actioncenter.actions.views.refusing import denied, refused
from actioncenter.actions.views.state import state_at
from actioncenter.audit.actor import Actor
from actioncenter.settings.access import Scope, within
from actioncenter.web import htmx
from actioncenter.web.narrowing import at
from actioncenter.web.refusing import because

CODES: Final[Mapping[str, str]] = {
    "decided": "conflict", "voted": "conflict", "busy": "conflict", "expired": "expired", "changed": "changed",
    "plan_changed": "changed", "plan_old": "changed", "new_copies": "changed", "reauthenticate": "denied",
    "role": "denied", "own_proposal": "denied", "person": "denied", "unknown": "denied",
}  # fmt: skip
"""How a refusal looks in the list of results; anything else is `failed`."""
TOLD: Final = frozenset({"decided", "expired", "changed", "plan_changed"})
"""Conflicts that have more to tell than the message."""
MOST_IRREVERSIBLE: Final = 10
FOLLOWED: Final = frozenset({Verb.APPROVE, Verb.UNDO})
"""Verbs that set something going."""
DONE: Final = {"approve": "approved", "reject": "rejected", "undo": "being undone"}


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    form = BulkForm({**request.POST.dict(), "selected": request.POST.getlist("selected")})
    if not form.is_valid():
        return refused(request, 400, "Not understood", f"{form.complaint} Nothing was recorded.")
    sent, by = form.cleaned_data, actor_of(request)

    def begin() -> Outcome:
        if not sent["everything"]:
            return start(sent)
        found = matching(request, sent)
        seen = {str(number): list(of) for number, of in found.seen.items()}
        return {**start({**sent, "selected": found.seen}), "seen": seen, "rest": found.rest}

    def start(sent: Mapping[str, Any]) -> Outcome:
        _require_few(sent, viewer_of(request).scope)
        return _begin(sent, by)

    def answer(outcome: Outcome) -> HttpResponse:
        if refusals := {str(row["number"]): row["code"] for row in outcome["rows"] if row["code"] != "done"}:
            because(request, "rows", verb=sent["verb"], rows=refusals)
        found = results(
            outcome["rows"], sent["verb"], approval=outcome["approval"], rest=outcome.get("rest", 0)
        )
        return _answer(request, sent["next"], found)

    try:
        return once(request, begin, answer, lambda outcome: go_on(_as_seen(sent, outcome), by, outcome))
    except Invalid as invalid:
        return refused(request, 422, "Nothing was recorded", f"{invalid.name}: {invalid.reason}")
    except Refused as refusal:
        return denied(request, refusal, back=sent["next"])
    except Conflict as conflict:
        return refused(request, 409, "Nothing was recorded", conflict.message)


def _require_few(sent: Mapping[str, Any], scope: Scope) -> None:
    """Raises Invalid for many approvals at once of what nothing brings back."""
    if sent["verb"] != Verb.APPROVE or len(sent["selected"]) <= MOST_IRREVERSIBLE:
        return
    irreversible = Action.objects.filter(ASKS_HARDER, pk__in=list(sent["selected"]))
    if within(irreversible, scope).exists():
        reason = f"Nothing brings these back, so at most {MOST_IRREVERSIBLE} are approved at once."
        raise Invalid("selected", f"{reason} {len(sent['selected'])} were selected.")


def _begin(sent: Mapping[str, Any], by: Actor) -> Outcome:
    """All that can be decided without waiting for anybody. Every undo is left: each takes a while."""
    numbers, approval = list(sent["selected"]), uuid4()
    if sent["verb"] == Verb.UNDO:
        if not sent["comment"]:
            raise Invalid("comment", "A comment is required to undo.")
        found: Sequence[RowResult] = [
            RowResult(number, False, "busy", "") for number in selected(Action, numbers, by=by)
        ]
    else:
        found = _decided(sent, by, numbers, approval, wait=False)
        if unproved := next((result for result in found if result.code == proof.CODE), None):
            raise Refused(proof.CODE, _said(unproved))
    left = [result.number for result in found if result.code == "busy"]
    return {"rows": [result_row(result, sent) for result in found], "left": left, "approval": approval.hex}


def _as_seen(sent: Mapping[str, Any], outcome: Outcome) -> Mapping[str, Any]:
    """With what everything in the list was when the form was sent first."""
    if "seen" not in outcome:
        return sent
    return {**sent, "selected": {int(number): Seen(*of) for number, of in outcome["seen"].items()}}


def go_on(sent: Mapping[str, Any], by: Actor, outcome: Outcome) -> Outcome:
    """The next of those that are left."""
    number, *left = outcome["left"]
    try:
        new = result_row(_alone(sent, by, number, UUID(outcome["approval"])), sent)
    except (Refused, Invalid) as error:
        # What came before it is recorded, so this is the answer for one row and not for the form.
        new = {**result_row(RowResult(number, False, "", str(error)), sent), "code": "denied"}
    rows = [new if row["number"] == number else row for row in outcome["rows"]]
    return {**outcome, "rows": rows, "left": left}


def _alone(sent: Mapping[str, Any], by: Actor, number: int, approval: UUID) -> RowResult:
    """Raises Refused and Invalid for what isn't about this action only."""
    if sent["verb"] == Verb.UNDO:
        [result] = Action.objects.undo_many([number], by=by, comment=sent["comment"], approval_id=approval)
    else:
        [result] = _decided(sent, by, [number], approval, wait=True)
    return result


def _decided(
    sent: Mapping[str, Any], by: Actor, numbers: Sequence[int], approval: UUID, *, wait: bool
) -> Sequence[RowResult]:
    seen: Mapping[int, Seen] = {number: sent["selected"][number] for number in numbers}
    more: dict[str, Any] = {
        "revisions": {number: of.revision for number, of in seen.items()},
        "approval_id": approval,
        "wait": wait,
    }
    if sent["verb"] == Verb.REJECT:
        return Action.objects.reject_many(numbers, by=by, comment=sent["comment"], **more)
    plans = {number: of.plan for number, of in seen.items() if of.plan is not None}
    return recounted_all(_approved(sent, by, numbers, plans, more), by)


def _approved(
    sent: Mapping[str, Any],
    by: Actor,
    numbers: Sequence[int],
    plans: Mapping[int, str],
    more: Mapping[str, Any],
) -> Sequence[RowResult]:
    return Action.objects.approve_many(numbers, by=by, comment=sent["comment"], plans=plans, **more)


def results(rows: Sequence[Mapping[str, Any]], verb: str, *, approval: str, rest: int = 0) -> dict[str, Any]:
    """`rest` is how many would have been one too many for one time."""
    done = sum(row["code"] == "done" for row in rows)
    title = f"{done} of {len(rows)} {DONE[verb]}"
    follow = (
        at(reverse("actions:history"), QueryDict(), approval=approval)
        if done > 1 and verb in FOLLOWED
        else ""
    )
    return {"title": title, "rows": rows, "done": done, "total": len(rows), "rest": rest, "follow": follow}


def result_row(result: RowResult, sent: Mapping[str, Any]) -> dict[str, Any]:
    action = result.action
    return {
        "number": result.number,
        "label": f"A-{result.number}",
        "url": page_url(result.number),
        "target": _target(action) if action else "",
        "code": "done" if result.ok else CODES.get(result.code, "failed"),
        "text": _lost(result, sent) or _said(result),
    }


def _target(action: Action) -> str:
    """With its device, as many may be about the same file."""
    target = shown_target(action.target_kind, action.target_name)
    return (
        f"{target} on {action.on_name}" if action.device_id and action.on_name not in {"", target} else target
    )


def _lost(result: RowResult, sent: Mapping[str, Any]) -> str:
    """For who came too late, or looked at an old page: what the page of one action would tell too."""
    if result.action is None or result.code not in TOLD:
        return ""
    seen: Seen = sent["selected"][result.number]
    conflict = Conflict(result.action, result.code, result.message)
    return in_words(lost(conflict, sent["verb"], revision=seen.revision, plan=seen.plan))


def _said(result: RowResult) -> str:
    """The message without the number that stands before it anyway."""
    text = result.message.removeprefix(f"A-{result.number}").lstrip(": ")
    return text[:1].upper() + text[1:]


def _answer(request: HttpRequest, wanted: str, results: Mapping[str, Any]) -> HttpResponse:
    if htmx.fragment(request):
        response = htmx.live(render(request, "actions/_results.html", {"results": results}))
        response["HX-Trigger"] = htmx.CHANGED
        return response
    back = htmx.local_path(request, wanted, reverse("actions:pending"))
    state = state_at(viewer_of(request), back)
    if state is None:
        return redirect(back)
    return listed(request, state.tab, query=state.query, results=results)
