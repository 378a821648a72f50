"""The page of one mailbox: whose it is, what holds there, what a person may do, and what happened to its mail."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from actioncenter.accounts.request import Request
from actioncenter.actions import mail_by_hand, targeting
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.actions.mail_by_hand import Errand
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.permissions import Rights, Verb
from actioncenter.actions.queries import Viewer, viewer_of
from actioncenter.actions.targeting import Place
from actioncenter.actions.views.detail import page_url
from actioncenter.actions.views.refusing import refused
from actioncenter.settings.access import mailboxes_within, within
from actioncenter.web.keyset import BadToken
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when
from investigations import words
from investigations.enums import EvidenceType
from investigations.models import Evidence, Mailbox
from investigations.queries import NoRoute, routes_for
from investigations.views import timeline
from investigations.views.device import connectors_of, held

Shown = dict[str, Any]
IN_FORCE_SHOWN: Final = 50
DELEGATES_SHOWN: Final = 5


@require_safe
def mailbox(request: Request, number: int) -> HttpResponse:
    viewer = viewer_of(request)
    box = visible_mailbox(viewer, number)
    try:
        happened = timeline.page(_place(box), viewer, request.GET.get("page", ""))
    except BadToken:
        return refused(
            request, 400, "This part of the timeline can't be found", "Its address was changed or is too old. Start again from the newest."
        )  # fmt: skip
    holding = list(in_force_on(box))
    context = {
        "mailbox": head_of(box, viewer),
        "connectors": connectors_of(box, viewer),
        "in_force": [held(target, viewer) for target in holding[:IN_FORCE_SHOWN]],
        "in_force_count": len(holding),
        "buttons": _buttons(box, holding, viewer),
        **happened,
    }
    return render(request, "investigations/mailbox.html", context)


def visible_mailbox(viewer: Viewer, number: int) -> Mailbox:
    """404 for what lies outside the person's scope, as for what doesn't exist."""
    return load(mailboxes_within(Mailbox.objects.all(), viewer.scope), number)


def head_of(box: Mailbox, viewer: Viewer) -> Shown:
    evidence = within(Evidence.objects.filter(mailbox=box), viewer.scope)
    return {
        "number": box.pk,
        "url": reverse("investigations:mailbox", args=[box.pk]),
        "address": box.address,
        "name": box.display_name,
        "upn": box.user_principal_name,
        "critical": box.critical,
        "first": when(box.first_seen, viewer.now),
        "first_iso": iso(box.first_seen),
        "last": when(box.last_seen, viewer.now),
        "last_iso": iso(box.last_seen),
        "evidence": evidence.count(),
        "investigations": evidence.order_by().values("investigation").distinct().count(),
        "search_url": f"{reverse('actions:explorer')}?{urlencode({'mailbox': box.address})}",
    }


def in_force_on(box: Mailbox) -> Sequence[ActionTarget]:
    """What was done there and holds, newest first."""
    rows = ActionTarget.objects.filter(mailbox=box, in_force=True)
    return list(rows.select_related("action__undone_by").order_by("-action_id", "pk"))


def _place(box: Mailbox) -> timeline.Place:
    """Messages that a plan or a search named know the mailbox by its address alone."""
    addresses = {box.address, box.address.lower()}
    there = Q(pk__in=ActionTarget.objects.filter(mailbox=box).values("action"))
    there |= Q(pk__in=ActionTarget.objects.filter(on_name__in=addresses, device=None).values("action"))
    path = reverse("investigations:mailbox", args=[box.pk])
    return timeline.Place(
        "mailbox", box.pk, path, Action.objects.filter(there), Evidence.objects.filter(mailbox=box)
    )


# What may be done by hand


def errands_of(box: Mailbox, holding: Sequence[ActionTarget], viewer: Viewer) -> dict[str, Errand]:
    """By the ends of their addresses. What holds is taken back, everything else is done."""
    forwarding = Evidence.objects.filter(mailbox=box, type=EvidenceType.FORWARDING)
    found = [
        _errand(ActionType.TURN_OFF_FORWARDING, box, holding, list(within(forwarding, viewer.scope)[:20]))
    ]
    kind = ActionType.REMOVE_DELEGATION
    found += [_errand(kind, box, holding, [evidence]) for evidence in _delegations(box, viewer)]
    return {_ending(errand): errand for errand in found}


def _delegations(box: Mailbox, viewer: Viewer) -> list[Evidence]:
    """The newest of each delegate."""
    rows = within(Evidence.objects.filter(mailbox=box, type=EvidenceType.DELEGATION), viewer.scope)
    newest = {str(item.facts["delegate"]): item for item in rows.order_by("pk") if item.facts.get("delegate")}
    return list(newest.values())[-DELEGATES_SHOWN:]


def _errand(
    kind: ActionType, box: Mailbox, holding: Sequence[ActionTarget], evidence: Sequence[Evidence]
) -> Errand:
    facts = evidence[0].facts if evidence and kind == ActionType.REMOVE_DELEGATION else {}
    delegate = facts.get("delegate")
    same = [row for row in holding if row.action.type == kind and row.facts.get("delegate") == delegate]
    inverse = CATALOGUE[kind].inverse
    if same and inverse:
        return Errand(inverse, [], evidence, holds=same[0], critical=box.critical)
    route = routes_for([], [box]).find(kind, mailbox=box)
    if isinstance(route, NoRoute):
        target = targeting.of_mailbox(box, Place(), facts)
        return Errand(kind, [target], evidence, critical=box.critical, unreachable=route.reason)
    place = Place(route.instance_id, route.instance_name, route.remote, route.simulated)
    return Errand(kind, [targeting.of_mailbox(box, place, facts)], evidence, critical=box.critical)


def _ending(errand: Errand) -> str:
    """Of several delegates each has a form of its own."""
    code = errand.entry.code
    delegated = errand.type in {ActionType.REMOVE_DELEGATION, ActionType.RESTORE_DELEGATION}
    return f"{code}-{errand.evidence[0].pk}" if delegated else code


def _buttons(box: Mailbox, holding: Sequence[ActionTarget], viewer: Viewer) -> list[Shown]:
    return [
        _button(ending, errand, box, viewer.rights)
        for ending, errand in errands_of(box, holding, viewer).items()
    ]


def _button(ending: str, errand: Errand, box: Mailbox, rights: Rights) -> Shown:
    entry, twins = errand.entry, mail_by_hand.twins_of(errand)
    reason = mail_by_hand.why_not(errand, rights, twins)
    twin = next(iter(twins.values()), None)
    proposes = rights.refusal(Verb.RUN, errand)
    return {
        "code": ending,
        "label": entry.short,
        "name": delegate_of(errand),
        "icon": entry.icon,
        "effect": words.EFFECTS[errand.type],
        "inverse": errand.holds is not None,
        "reason": reason,
        "twin": {"label": twin.label, "url": page_url(twin.pk)} if twin and reason else None,
        "proposes": f"{proposes} You may propose it." if proposes and not reason else "",
        "url": reverse("investigations:act_on_mailbox", args=[box.pk, ending]),
    }


def delegate_of(errand: Errand) -> str:
    facts = errand.holds.facts if errand.holds else errand.targets[0].facts if errand.targets else {}
    return str(facts.get("delegate", ""))
