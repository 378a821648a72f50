"""Copies of one message: where somebody may see that they lie, and what was last done to each."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import QuerySet

from actioncenter.actions import exploring, targeting
from actioncenter.actions.enums import ActionType, Area, TargetKind
from actioncenter.actions.models import Action, ActionTarget, MailHit, MailSearch, TargetDraft
from actioncenter.actions.models.undoing import draft_of
from actioncenter.actions.targeting import Place
from actioncenter.settings.access import Scope, within
from investigations.enums import EvidenceType
from investigations.models import Evidence
from investigations.queries import NoRoute, routes_for

MOST: Final = 500
"""Of each source that are looked at; the newest."""
KIND: Final = ActionType.SOFT_DELETE_EMAIL
"""Stands for every verb: all of them have the same lanes and go to the same connector."""


@dataclass(frozen=True, slots=True)
class Copy:
    """`ref` names it in forms. `done` is what was last asked for there, `hit` where a search found it."""

    ref: str
    draft: TargetDraft
    done: ActionTarget | None = None
    hit: MailHit | None = None
    evidence: Evidence | None = None

    @property
    def mailbox(self) -> str:
        return self.draft.on_name


def evidence_of(key: str, scope: Scope) -> QuerySet[Evidence]:
    return within(Evidence.objects.filter(message_key=key), scope)


def targets_of(key: str, scope: Scope) -> QuerySet[ActionTarget]:
    seen = within(Action.objects.filter(area=Area.EMAIL), scope)
    return ActionTarget.objects.filter(message_key=key, action__in=seen)


def hits_of(key: str, scope: Scope) -> QuerySet[MailHit]:
    return MailHit.objects.filter(message_key=key, search__in=within(MailSearch.objects.all(), scope))


def copies(key: str, scope: Scope) -> list[Copy]:
    """By mailbox. Each once, as whoever saw it last has named it; evidence counts where nobody has looked yet."""
    done = _last(targets_of(key, scope).filter(kind=TargetKind.MESSAGE))
    found: dict[str, Copy] = {}
    for hit in hits_of(key, scope).select_related("instance").order_by("-pk")[:MOST]:
        draft = exploring.message_of(hit, hit.instance)
        found.setdefault(draft.entity, Copy(f"h{hit.pk}", draft, done.get(draft.lane(KIND)), hit))
    # What an undo needs is of that one action and no other.
    for target in done.values():
        found.setdefault(target.entity, Copy(f"t{target.pk}", replace(draft_of(target), restore=b""), target))
    known = {copy.mailbox.casefold() for copy in found.values()}
    for item, draft in _told(evidence_of(key, scope)):
        if draft.on_name.casefold() not in known:
            found.setdefault(
                f"e{item.pk}", Copy(f"e{item.pk}", draft, done.get(draft.lane(KIND)), evidence=item)
            )
    return sorted(found.values(), key=lambda copy: (copy.mailbox, copy.ref))


def _last(rows: QuerySet[ActionTarget]) -> dict[str, ActionTarget]:
    """Lane -> the newest target there."""
    found: dict[str, ActionTarget] = {}
    for row in rows.select_related("action").order_by("-action_id", "-pk")[:MOST]:
        found.setdefault(row.lane, row)
    return found


def _told(rows: QuerySet[Evidence]) -> Iterable[tuple[Evidence, TargetDraft]]:
    messages = rows.filter(type=EvidenceType.MAIL_MESSAGE, mailbox__isnull=False)
    items = list(messages.select_related("mailbox", "device").order_by("-pk")[:MOST])
    routes = routes_for([], [item.mailbox for item in items if item.mailbox])
    for item in items:
        route = routes.find(KIND, mailbox=item.mailbox)
        place = (
            Place()
            if isinstance(route, NoRoute)
            else Place(route.instance_id, route.instance_name, route.remote, route.simulated)
        )
        yield item, targeting.draft(KIND, item, {}, place)
