"""Quarantine or release of one file by hand, on the devices that were picked or on all; each has its own outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import by_hand, instances, reasons
from actioncenter.actions.by_hand import Intent
from actioncenter.actions.catalogue import BY_CODE, CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.actions.forms import parameter_form
from actioncenter.actions.models import Conflict, Invalid
from actioncenter.actions.models.deciding import BULK_LIMIT
from actioncenter.actions.permissions import NotVisible, Refused, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.refusing import denied
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role
from actioncenter.web import htmx
from actioncenter.web.load import LARGEST
from actioncenter.web.refusing import because
from investigations import words
from investigations.models import Device
from investigations.queries import routes_for
from investigations.views.act import CommentForm, told
from investigations.views.file import VERBS, visible_file

Shown = dict[str, Any]
NAMED: Final = 20
AT_ONCE: Final = 20
"""Devices per transaction: on SQLite it keeps everybody else from writing."""


@require_http_methods(["GET", "HEAD", "POST"])
def act_on_file(request: Request, sha256: str, code: str) -> HttpResponse:
    viewer, kind = viewer_of(request), BY_CODE.get(code)
    visible_file(viewer, sha256)
    if kind is None or kind not in VERBS:
        raise Http404
    try:
        devices, total = _chosen(request, viewer, kind, sha256)
    except ValidationError as wrong:
        return _page(request, viewer, kind, sha256, [], 0, error=wrong.messages[0], status=422)
    if request.method == "POST":
        return _do(request, viewer, kind, sha256, devices, total)
    return _page(request, viewer, kind, sha256, devices, total)


def _chosen(request: Request, viewer: Viewer, kind: ActionType, sha256: str) -> tuple[list[Device], int]:
    """Those of the choice that the person sees, at most BULK_LIMIT, and how many there are. Raises ValidationError."""
    sent = request.POST if request.method == "POST" else request.GET
    if sent.get("all"):
        rows = instances.seen_on(sha256, viewer.scope, held=kind == ActionType.RELEASE_FILE)
    else:
        rows = instances.seen_on(sha256, viewer.scope).filter(pk__in=_picked(sent.getlist("device")))
    return list(rows.select_related("group").order_by("-critical", "name", "pk")[:BULK_LIMIT]), rows.count()


def _picked(texts: Sequence[str]) -> list[int]:
    """Raises ValidationError."""
    if len(texts) > BULK_LIMIT or not all(text.isdecimal() and int(text) <= LARGEST for text in texts):
        raise ValidationError(f"Pick between 1 and {BULK_LIMIT} devices.")
    return sorted({int(text) for text in texts})


def _do(
    request: Request, viewer: Viewer, kind: ActionType, sha256: str, devices: Sequence[Device], total: int
) -> HttpResponse:
    if refusal := viewer.rights.refusal(Verb.PROPOSE, Intent(kind, devices[0] if devices else Device())):
        return denied(request, refusal, back=_file_url(sha256))
    comment = CommentForm(request.POST)
    if not devices or not comment.is_valid():
        error = "Pick at least one device." if not devices else str(comment.errors["comment"][0])
        return _page(request, viewer, kind, sha256, devices, total, error=error, status=422)
    by, said, values = actor_of(request), comment.cleaned_data["comment"], _values(request, viewer, kind)

    def begin() -> Outcome:
        _require_proved(instances.intents(kind, sha256, devices, viewer.scope), by)
        return {"rows": [], "left": [device.pk for device in devices], "approval": uuid4().hex}

    def go_on(outcome: Outcome) -> Outcome:
        now, left = outcome["left"][:AT_ONCE], outcome["left"][AT_ONCE:]
        rows = _some(
            kind, sha256, now, viewer, values, by=by, comment=said, approval=UUID(outcome["approval"])
        )
        return {**outcome, "rows": [*outcome["rows"], *rows], "left": left}

    def answer(outcome: Outcome) -> HttpResponse:
        if refusals := {str(row["device"]): row["code"] for row in outcome["rows"] if row["code"] != "done"}:
            because(request, "rows", verb=kind.name.lower(), rows=refusals)
        return _results(request, kind, sha256, outcome)

    try:
        return once(request, begin, answer, go_on)
    except Refused as refusal:
        return denied(request, refusal, back=_file_url(sha256))
    except NotVisible as gone:
        raise Http404 from gone


def _require_proved(intents: Iterable[Intent], by: Actor) -> None:
    """Raises Refused before anything is recorded where one of them wants the password."""
    if any(foreseen.password for foreseen in _foreseen(intents, by)):
        raise Refused(proof.CODE, proof.WHY)


def _foreseen(intents: Iterable[Intent], by: Actor) -> list[by_hand.Foreseen]:
    """One for each kind of device: rules differ by group and by what is critical."""
    kinds = {
        (intent.device.group_id, intent.device.critical, _verdict_of(intent)): intent
        for intent in intents
        if intent.evidence or intent.holds
    }
    routes = routes_for([intent.device for intent in kinds.values()])
    return [by_hand.foresee(intent, routes, by=by) for intent in kinds.values()]


def _verdict_of(intent: Intent) -> int:
    if intent.holds:
        return int(intent.holds.action.verdict)
    return max(item.verdict for item in intent.evidence)


def _some(
    kind: ActionType, sha256: str, numbers: Sequence[int], viewer: Viewer, values: Mapping[str, Any], *,
    by: Actor, comment: str, approval: UUID,
) -> list[Shown]:  # fmt: skip
    """One result for each, in their order; what is out of sight meanwhile has none."""
    seen = instances.seen_on(sha256, viewer.scope).filter(pk__in=numbers).select_related("group")
    by_number = {device.pk: device for device in seen}
    devices = [by_number[number] for number in numbers if number in by_number]
    return [
        _one(replace(intent, parameters=values), by=by, comment=comment, approval=approval)
        for intent in instances.intents(kind, sha256, devices, viewer.scope)
    ]


def _values(request: Request, viewer: Viewer, kind: ActionType) -> dict[str, Any]:
    """What an admin may choose here, and nobody else is asked."""
    if not _chooses(viewer, kind):
        return {}
    form = parameter_form(CATALOGUE[kind], {}, request.POST)
    return form.cleaned_data if form.is_valid() else {}


def _chooses(viewer: Viewer, kind: ActionType) -> bool:
    return Role.ADMIN in viewer.rights.roles and bool(CATALOGUE[kind].parameters)


def _one(intent: Intent, *, by: Actor, comment: str, approval: UUID) -> Shown:
    try:
        action = by_hand.take(
            intent, by=by, comment=comment, key=f"{approval.hex}:{intent.device.pk}", approval_id=approval
        )
    except Conflict as conflict:
        return _row(intent, "conflict", conflict.message, conflict.action.pk)
    except (Refused, Invalid) as error:
        return _row(intent, "denied", str(error), None)
    except NotVisible:
        return _row(intent, "denied", "It is out of your sight by now.", None)
    return _row(intent, "done", told(action), action.pk)


def _row(intent: Intent, code: str, text: str, number: int | None) -> Shown:
    return {
        "device": intent.device.pk,
        "name": intent.device.name,
        "code": code,
        "text": text,
        "number": number,
    }


def _results(request: Request, kind: ActionType, sha256: str, outcome: Outcome) -> HttpResponse:
    done = sum(row["code"] == "done" for row in outcome["rows"])
    context = {
        "sha256": sha256,
        "label": CATALOGUE[kind].short,
        "title": f"{done:,} of {len(outcome['rows']):,} asked for",
        "rows": [
            {
                **row,
                "url": page_url(row["number"]) if row["number"] else "",
                "label": f"A-{row['number']}" if row["number"] else "",
                "device_url": reverse("investigations:device", args=[row["device"]]),
            }
            for row in outcome["rows"]
        ],
        "all_done": done == len(outcome["rows"]),
        "history_url": f"{reverse('actions:history')}?approval={UUID(outcome['approval'])}",
    }
    return htmx.live(render(request, "investigations/file_results.html", context))


def _page(
    request: Request,
    viewer: Viewer,
    kind: ActionType,
    sha256: str,
    devices: Sequence[Device],
    total: int,
    *,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    intents = instances.intents(kind, sha256, devices, viewer.scope)
    routes, there = routes_for(devices), by_hand.open_on(devices)
    reasons_why = [by_hand.why_not(intent, viewer.rights, routes, there) for intent in intents]
    possible = [intent for intent, reason in zip(intents, reasons_why, strict=True) if not reason]
    refusal = viewer.rights.refusal(Verb.PROPOSE, intents[0]) if intents else None
    context: Shown = {
        "sha256": sha256,
        "file_url": _file_url(sha256),
        "label": CATALOGUE[kind].short,
        "icon": CATALOGUE[kind].icon,
        "effect": words.EFFECTS[kind],
        "releases": kind == ActionType.RELEASE_FILE,
        "number": len(devices),
        "possible": len(possible),
        "rest": total - len(devices),
        "critical": sum(
            device.critical or bool(device.group and device.group.critical) for device in devices
        ),
        "groups": sorted({device.group.name for device in devices if device.group}),
        "names": [device.name for device in devices[:NAMED]],
        "more": max(0, len(devices) - NAMED),
        "why": sorted({reason for reason in reasons_why if reason})[:NAMED],
        "why_not": str(refusal) if refusal else "" if devices else "Pick at least one device.",
        "comes": _comes(possible, actor_of(request)) if not refusal else [],
        "form": parameter_form(CATALOGUE[kind], {}) if _chooses(viewer, kind) else [],
        "picked": [device.pk for device in devices],
        "comment": request.POST.get("comment", "")[:4000],
        "error": error,
        "url": request.path,
    }
    return htmx.live(render(request, "investigations/act_on_file.html", context, status=status))


def _comes(possible: Sequence[Intent], by: Actor) -> list[str]:
    """What becomes of them, each way once."""
    try:
        foreseen = _foreseen(possible, by)
    except Refused as refusal:
        return [str(refusal)]
    told_once = dict.fromkeys(_in_words(each) for each in foreseen)
    return list(told_once)


def _in_words(foreseen: by_hand.Foreseen) -> str:
    if foreseen.password:
        return "Some need your password, given within the last 10 minutes; you are asked for it first."
    if not foreseen.waits:
        return "What you may do alone runs at once."
    if foreseen.waits == "proposed_by":
        return "What you may not do alone is proposed, and somebody else decides."
    return f"Some wait for others. {reasons.render(foreseen.waits)}"


def _file_url(sha256: str) -> str:
    return reverse("investigations:file", args=[sha256])
