"""What happened to one thing: actions and evidence in one list, newest first, a page at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import F, QuerySet, Value
from django.urls import reverse

from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.queries import Viewer, stamp
from actioncenter.actions.queries.raw import columns, read
from actioncenter.actions.rows import rows_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.words import EVIDENCE_KINDS, VERDICTS
from actioncenter.settings.access import within
from actioncenter.web.keyset import BadToken, Beyond, as_text, compiled, seal, unseal
from actioncenter.web.moments import iso, when
from actioncenter.web.text import defanged
from investigations import words
from investigations.enums import EvidenceType, RemediationStatus, Verdict
from investigations.models import Device, Evidence

Shown = dict[str, Any]
PAGE_SIZE: Final = 30
ACTIONS, EVIDENCE = 0, 1
"""Of the same moment actions come first."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the list is of: `name` and `ref` mark its tokens, which other lists make too; `path` is its page.

    Actions and evidence need not be within anybody's scope yet.
    """

    name: str
    ref: int | str
    path: str
    actions: QuerySet[Action]
    evidence: QuerySet[Evidence]


def of_device(device: Device) -> Place:
    there = ActionTarget.objects.filter(device=device).values("action")
    path = reverse("investigations:device", args=[device.pk])
    return Place(
        "device", device.pk, path, Action.objects.filter(pk__in=there), Evidence.objects.filter(device=device)
    )


def page(place: Place, viewer: Viewer, token: str = "") -> Shown:
    """`timeline`, and where it goes on. Raises BadToken, also for a token of another list or thing."""
    position = _position(token, place)
    found = [*_actions(place, viewer, position), *_evidence(place, viewer, position)]
    found.sort(key=lambda entry: (-entry["moment"].timestamp(), entry["branch"], -entry["id"]))
    shown, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    return {
        "timeline": shown,
        "later_url": place.path if position else "",
        "earlier_url": f"{place.path}?page={_token(shown[-1], place)}" if more else "",
    }


def _position(token: str, place: Place) -> Mapping[str, Any] | None:
    if not token:
        return None
    position = unseal(token)
    if (position.get("list"), position.get("of")) != (f"{place.name}-timeline", place.ref):
        raise BadToken
    return position


def _token(entry: Shown, place: Place) -> str:
    return seal(
        {
            "list": f"{place.name}-timeline",
            "of": place.ref,
            "at": entry["at_text"],
            "branch": entry["branch"],
            "id": entry["id"],
        }
    )


def _from(rows: QuerySet[Any], branch: int, position: Mapping[str, Any] | None) -> QuerySet[Any]:
    """The next of one kind, with one more than fits."""
    if position and position["branch"] == branch:
        rows = rows.filter(Beyond(("created_at", "id"), (position["at"], position["id"]), down=True))
    elif position:
        reached = branch > position["branch"]
        rows = rows.filter(Beyond(("created_at",), (position["at"],), down=True, reached=reached))
    return rows.order_by("-created_at", "-id")


def _actions(place: Place, viewer: Viewer, position: Mapping[str, Any] | None) -> list[Shown]:
    rows = _from(within(place.actions, viewer.scope), ACTIONS, position)
    raws = read(compiled(columns(rows, progress=True)[: PAGE_SIZE + 1]))
    shown = rows_of(raws, viewer, page_url, history=True)
    return [_action(raw, row, viewer) for raw, row in zip(raws, shown, strict=True)]


def _action(raw: Any, row: Mapping[str, Any], viewer: Viewer) -> Shown:
    moment = stamp(raw.created_at)
    by = row["decided_by"]
    return {
        "branch": ACTIONS,
        "id": raw.id,
        "at_text": raw.created_at,
        "moment": moment,
        "at": when(moment, viewer.now),
        "at_iso": iso(moment),
        "icon": row["type_icon"],
        "label": row["label"],
        "url": row["url"],
        "text": row["type_label"],
        "name": "" if row["target"] == row["on"] else row["target"],
        "state_code": row["result_code"] or "waiting",
        "state_label": row["result_label"] or "Waiting",
        "detail": f"by {by}" if by else "",
    }


def _evidence(place: Place, viewer: Viewer, position: Mapping[str, Any] | None) -> list[Shown]:
    rows = _from(within(place.evidence, viewer.scope), EVIDENCE, position)
    found = rows.annotate(at_text=as_text("created_at"), branch=Value(EVIDENCE), at=F("created_at"))
    return [_found(item, viewer) for item in found[: PAGE_SIZE + 1]]


def _found(item: Any, viewer: Viewer) -> Shown:
    kind = EvidenceType(item.type)
    return {
        "branch": EVIDENCE,
        "id": item.pk,
        "at_text": item.at_text,
        "moment": item.created_at,
        "at": when(item.created_at, viewer.now),
        "at_iso": iso(item.created_at),
        "icon": words.ICONS[kind],
        "label": f"INV-{item.investigation_id}",
        "url": reverse("investigations:detail", args=[item.investigation_id]),
        "text": f"{EVIDENCE_KINDS[kind]} found",
        "name": defanged(item.name) if kind == EvidenceType.URL else item.name,
        "thing_url": thing_url(item),
        "verdict": VERDICTS[Verdict(item.verdict)],
        "detail": words.REMEDIATIONS[RemediationStatus(item.remediation)][1],
    }


def thing_url(item: Evidence) -> str:
    """The page of what it is about, where there is one."""
    if item.sha256:
        return reverse("investigations:file", args=[item.sha256])
    return reverse("investigations:message", args=[item.message_key]) if item.message_key else ""
