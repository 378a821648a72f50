"""The page of one message: where its copies lie as far as is known, what was found of it, and what was done to them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions import copies, mail_by_hand
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.copies import Copy
from actioncenter.actions.enums import ActionType, TargetState
from actioncenter.actions.exploring import MOST_PICKED
from actioncenter.actions.mail_by_hand import Errand
from actioncenter.actions.models import Action
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.queries.mailboxes import numbers_of
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.refusing import refused
from actioncenter.actions.words import TARGET_STATES, VERDICTS
from actioncenter.web.keyset import BadToken
from investigations.enums import Verdict
from investigations.views import timeline

Shown = dict[str, Any]
KEY: Final = re.compile(r"[0-9a-f]{64}")
SHOWN: Final = 200


@require_safe
def message(request: Request, key: str) -> HttpResponse:
    viewer = viewer_of(request)
    found = visible_copies(viewer, key)
    try:
        happened = timeline.page(_place(key, viewer), viewer, request.GET.get("page", ""))
    except BadToken:
        return refused(
            request, 400, "This part of the timeline can't be found", "Its address was changed or is too old. Start again from the newest."
        )  # fmt: skip
    refusal = viewer.rights.refusal(Verb.PROPOSE, Errand(ActionType.QUARANTINE_EMAIL, []))
    context = {
        "message": head_of(key, found, viewer),
        "known": len(found),
        "boxes": len({copy.mailbox for copy in found}),
        "rows": _rows(found[:SHOWN], viewer),
        "verbs": [_verb(key, kind) for kind in mail_by_hand.ON_MESSAGES],
        "read_only": str(refusal or ""),
        "most": MOST_PICKED,
        **happened,
    }
    return render(request, "investigations/message.html", context)


def visible_copies(viewer: Viewer, key: str) -> list[Copy]:
    """404 where the person may see nothing of it, as for a message that nobody knows."""
    known = KEY.fullmatch(key) is not None
    found = copies.copies(key, viewer.scope) if known else []
    if not found and not (known and _is_told_of(key, viewer)):
        raise Http404
    return found


def _is_told_of(key: str, viewer: Viewer) -> bool:
    """Of some it is known only that an attachment lay in them."""
    return copies.evidence_of(key, viewer.scope).exists() or copies.targets_of(key, viewer.scope).exists()


def _place(key: str, viewer: Viewer) -> timeline.Place:
    done = copies.targets_of(key, viewer.scope).values("action")
    path = reverse("investigations:message", args=[key])
    found = copies.evidence_of(key, viewer.scope)
    return timeline.Place("message", key, path, Action.objects.filter(pk__in=done), found)


def head_of(key: str, found: Sequence[Copy], viewer: Viewer) -> Shown:
    facts = _facts(key, found, viewer)
    verdicts = copies.evidence_of(key, viewer.scope).order_by("-verdict").values_list("verdict", flat=True)
    verdict, label = VERDICTS[Verdict(next(iter(verdicts[:1]), Verdict.UNKNOWN))]
    named = str(facts.get("internet_message_id") or facts.get("message_id") or "")
    return {
        "key": key,
        "url": reverse("investigations:message", args=[key]),
        "subject": str(facts.get("subject") or "(no subject)"),
        "sender": str(facts.get("sender") or ""),
        "message_id": named,
        "verdict": verdict,
        "verdict_label": label,
        "search_url": f"{reverse('actions:explorer')}?{urlencode({'message_id': named[:900]})}"
        if named
        else "",
    }


def _facts(key: str, found: Sequence[Copy], viewer: Viewer) -> Mapping[str, Any]:
    """What one of its copies says; they are copies, so that all say the same."""
    if found:
        return found[0].draft.facts
    item = copies.evidence_of(key, viewer.scope).order_by("-pk").first()
    target = copies.targets_of(key, viewer.scope).order_by("-pk").first() if item is None else None
    return item.facts if item else target.facts if target else {}


def _rows(found: Sequence[Copy], viewer: Viewer) -> list[Shown]:
    numbers = numbers_of((copy.mailbox for copy in found), viewer.scope)
    return [_row(copy, numbers.get(copy.mailbox)) for copy in found]


def _row(copy: Copy, number: int | None) -> Shown:
    code, label = TARGET_STATES[TargetState(copy.done.state)] if copy.done else ("none", "Nothing")
    action = copy.done.action if copy.done else None
    return {
        "ref": copy.ref,
        "mailbox": copy.mailbox,
        "mailbox_url": reverse("investigations:mailbox", args=[number]) if number else "",
        "folder": str(copy.draft.facts.get("folder") or ""),
        "connector": copy.draft.instance_name,
        "inside_url": reverse("actions:mail_message", args=[copy.hit.search_id, copy.hit.pk])
        if copy.hit
        else "",
        "done": action.entry.short if action else "",
        "state_code": code,
        "state": label,
        "action_label": action.label if action else "",
        "action_url": page_url(action.pk) if action else "",
    }


def _verb(key: str, kind: ActionType) -> Shown:
    entry = CATALOGUE[kind]
    url = reverse("investigations:act_on_message", args=[key, entry.code])
    return {"code": entry.code, "label": entry.short, "icon": entry.icon, "url": url}
