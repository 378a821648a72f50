"""Taking action on mail that was searched for: on picked messages, or on the whole query but for what is left out.

Picked messages are frozen as they were found. Of a whole query the plan that the runner makes freezes them, so
nobody's word sends anything before it is there. Limits are those of domain §9.2.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID, uuid4

from django.db.models import Count, Max, Q, QuerySet

from actioncenter.accounts import fence
from actioncenter.accounts.answers import key_of_form
from actioncenter.actions.announcing import announce
from actioncenter.actions.by_hand import ASKING, KEY_USED, REASON, Foreseen, foreseen
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind
from actioncenter.actions.models import (
    Action,
    Conflict,
    MailHit,
    MailSearch,
    Proposal,
    TargetDraft,
)
from actioncenter.actions.models.searching import OfMail
from actioncenter.actions.permissions import Refused, Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.settings.models import ConnectorInstance
from investigations.enums import Verdict
from investigations.models import Binding

T = ActionType
VERBS: Final = (
    T.SOFT_DELETE_EMAIL, T.QUARANTINE_EMAIL, T.MOVE_TO_JUNK, T.MOVE_TO_DELETED, T.MOVE_TO_INBOX, T.HARD_DELETE_EMAIL,
)  # fmt: skip
"""In the order of their buttons."""
GROUPINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "campaign": ("sender", "subject"),
    "sender": ("sender",),
    "message": ("message_id",),
    "mailbox": ("mailbox",),
}
"""What the messages of a cluster have in common."""
MOST_PICKED: Final = 100
MOST_IN_ALL: Final = 200_000
MOST_LEFT_OUT: Final = 100
MOST_TAKEN: Final = 20
ADVISED: Final = 50_000
MOST_RUNNING: Final = 50
LARGE: Final = 1_000_000
SPREAD: Final = 0.4
"""Mailboxes per message; below it nobody's mailbox may lose more than MOST_OF_ONE."""
MOST_OF_ONE: Final = 1_000
SENT: Final = ("mailbox", "stable_id", "message_id", "folder", "sender", "subject")
"""Of a message to the connector that found it."""


class Limit(Refused):
    """More than one query may touch, or more at once than may run, in one sentence."""

    def __init__(self, message: str) -> None:
        super().__init__("limit", message)


@dataclass(frozen=True, slots=True)
class Choice:
    """`picked` are hits. Without, it is the whole query: in the cluster of `within` or in those of `taken` alone, if
    given, and without the clusters of `left_out` and the single messages of `spared`, each named by a hit."""

    search: MailSearch
    picked: tuple[int, ...] = ()
    grouping: str = "campaign"
    within: int = 0
    taken: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    spared: tuple[int, ...] = ()

    def hits(self) -> "QuerySet[MailHit]":
        rows = self.search.hits.all()
        if self.picked:
            return rows.filter(pk__in=self.picked)
        if self.within:
            rows = rows.filter(**self.narrowed())
        if self.taken:
            any_of = (Q(**named) for named in self._common(self.taken))
            rows = rows.filter(reduce(or_, any_of, Q(pk__in=[])))
        for named in self.exceptions():
            rows = rows.exclude(**named)
        return rows

    def parts(self) -> "list[Choice]":
        """What becomes an action each: a plan freezes one query, and several clusters are no one query."""
        if not self.taken:
            return [self]
        return [replace(self, taken=(), within=each) for each in self.taken]

    def narrowed(self) -> dict[str, str]:
        """What the messages of the cluster have in common; empty without one."""
        return self._common([self.within])[0] if self.within else {}

    def exceptions(self) -> list[dict[str, str]]:
        spared = self.search.hits.filter(pk__in=self.spared).order_by("pk")
        single = spared.values_list("mailbox", "stable_id")
        return [*self._common(self.left_out), *({"mailbox": box, "stable_id": name} for box, name in single)]

    def _common(self, hits: Sequence[int]) -> list[dict[str, str]]:
        rows = self.search.hits.filter(pk__in=hits).order_by("pk")
        return list(rows.values(*GROUPINGS[self.grouping]))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a choice, as it was found."""

    messages: int
    mailboxes: int
    most_of_one: int
    instances: tuple[int, ...]


def figures_of(choice: Choice) -> Figures:
    hits = choice.hits().order_by()
    each = hits.values("mailbox").annotate(number=Count("pk"))
    most = each.aggregate(most=Max("number"))["most"] or 0
    return Figures(hits.count(), each.count(), most, _instances(choice))


def _instances(choice: Choice) -> tuple[int, ...]:
    return tuple(sorted(choice.hits().order_by().values_list("instance", flat=True).distinct()))


# What is in its way


def why_not(choice: Choice, figures: Figures) -> str:
    """The limit that it would break, in one sentence; empty where it breaks none."""
    if not figures.messages:
        return "Nothing is left of it. Pick at least one message."
    if len(choice.picked) > MOST_PICKED:
        return f"At most {MOST_PICKED} messages can be picked by hand. Take the whole query and leave out what isn't meant."
    if len(choice.left_out) + len(choice.spared) > MOST_LEFT_OUT:
        return f"At most {MOST_LEFT_OUT} messages and clusters can be left out. Narrow the query instead."
    if figures.messages > MOST_IN_ALL:
        return f"It has {figures.messages:,} messages; one query may touch {MOST_IN_ALL:,}. Narrow it by time or sender."
    if figures.mailboxes < SPREAD * figures.messages and figures.most_of_one > MOST_OF_ONE:
        return (
            f"{figures.most_of_one:,} of its messages lie in one mailbox. Where a query has fewer mailboxes than 40% of "
            f"its messages, one mailbox may lose {MOST_OF_ONE:,}."
        )
    if len(choice.taken) > MOST_TAKEN:
        return f"At most {MOST_TAKEN} clusters are taken at once. Take the whole query and leave out what isn't meant."
    if any(part.within and not all(part.narrowed().values()) for part in choice.parts()):
        return "This cluster has nothing in common to search by again. Pick its messages instead."
    return ""


def throttled() -> str:
    """Why nothing on mail may begin now; empty where it may."""
    running = Action.objects.running().filter(area=Area.EMAIL)
    if running.filter(target_count__gt=LARGE).exists():
        return f"An action on more than {LARGE:,} messages is under way. Wait for its end."
    if running.count() >= MOST_RUNNING:
        return (
            f"{MOST_RUNNING} actions on mail are under way, and no more may be. Wait for one of them to end."
        )
    return ""


def unsupported(kind: ActionType, instances: Sequence[int]) -> str:
    """Why a connector of the choice can't do it, or an empty string."""
    bindings = Binding.objects.filter(instance__in=instances, tenant=True).select_related("instance")
    reached = {binding.instance_id: binding for binding in bindings if binding.instance.enabled}
    if set(instances) - reached.keys():
        return "A connector that found some of it no longer reaches any mailbox."
    for binding in reached.values():
        said = binding.capabilities.get(CATALOGUE[kind].code) or {}
        if said.get("support") == "unsupported":
            return f"{binding.instance.name}: {said.get('reason') or 'not supported'}"
    return ""


# What would become of it


def foresee(choice: Choice, kind: ActionType, figures: Figures, *, by: Actor) -> Foreseen:
    """Asked of the same rules as the proposal itself; nothing is recorded. Raises Refused and NotVisible."""
    return foreseen(_proposals(choice, kind, figures, Decision.NOT_REQUIRED, ASKING)[0], by=by)


# Asking for it


def take(
    choice: Choice, kind: ActionType, *, by: Actor, comment: str, key: str = "", approval_id: UUID | None = None,
    propose: bool = False,
) -> list[Action]:  # fmt: skip
    """Do it, or propose it to others: one action for each connector that found some of it, and for each cluster that
    was taken, under one approval.

    Raises Limit, Refused (also `reauthenticate`), Invalid, Conflict, NotVisible.
    """
    with fence.decider():
        rights, figures = fresh_rights(by), figures_of(choice)
        rights.require(Verb.PROPOSE, OfMail(kind))
        reason = why_not(choice, figures) or unsupported(kind, figures.instances)
        wished = Decision.PENDING if propose else Decision.NOT_REQUIRED
        if not propose and not rights.refusal(Verb.RUN, OfMail(kind)):
            reason = reason or throttled()
        if reason:
            raise Limit(reason)
        made = []
        wanted = _proposals(choice, kind, figures, wished, comment, key_of_form(key, by=by), approval_id)
        for each in _announced(choice, wanted, by=by):
            action, _ = Action.objects.propose(each, by=by)
            if action.type != kind:
                raise Conflict(action, "key_used", KEY_USED)
            made.append(action)
    return made


def _announced(choice: Choice, wanted: Sequence[Proposal], *, by: Actor) -> Sequence[Proposal]:
    """What runs at once, with the investigation that tells of it."""
    first = wanted[0]
    sent = first.idempotency_key and Action.objects.filter(idempotency_key=first.idempotency_key).exists()
    if sent or not choice.picked or first.decision == Decision.PENDING:
        return wanted
    expected = foreseen(first, by=by)
    if expected.waits or expected.password:
        return wanted
    hits = choice.hits().order_by("pk")
    investigation, evidence = announce(hits, first.type, by=by, ref=f"{first.approval_id or uuid4()}")
    links = [(pk, Verdict.UNKNOWN, REASON) for pk in evidence]
    return [replace(each, investigation_id=investigation, evidence=links) for each in wanted]


def _proposals(
    choice: Choice, kind: ActionType, figures: Figures, decision: Decision, comment: str, key: str = "",
    approval_id: UUID | None = None,
) -> list[Proposal]:  # fmt: skip
    instances = ConnectorInstance.objects.in_bulk(figures.instances)
    parts = [(part, pk) for part in choice.parts() for pk in _instances(part)]
    return [
        Proposal(
            type=kind,
            area=Area.EMAIL,
            source=Source.EXPLORER,
            decision=decision,
            targets=_targets(part, instances[pk]),
            policy={"code": REASON},
            comment=comment,
            approval_id=str(approval_id) if approval_id else None,
            idempotency_key=f"{key}:{pk}:{part.within}" if key else "",
            simulated=instances[pk].simulated,
        )
        for part, pk in parts
    ]


def _targets(choice: Choice, instance: ConnectorInstance) -> list[TargetDraft]:
    hits = choice.hits().filter(instance=instance).order_by("pk")
    return [message_of(hit, instance) for hit in hits] if choice.picked else [_query(choice, hits, instance)]


def message_of(hit: MailHit, instance: ConnectorInstance) -> TargetDraft:
    """Named as plans name the messages of a cluster, so that both meet in one lane."""
    return TargetDraft(
        kind=TargetKind.MESSAGE,
        name=hit.subject or "(no subject)",
        entity=f"{hit.mailbox}|{hit.stable_id}",
        on_name=hit.mailbox,
        instance_id=instance.pk,
        instance_name=instance.name,
        remote=hit.mailbox,
        facts={name: getattr(hit, name) for name in SENT},
    )


def _query(choice: Choice, hits: "QuerySet[MailHit]", instance: ConnectorInstance) -> TargetDraft:
    """A find that comes without the message that it began with has not looked everywhere, so one is named."""
    criteria = {**choice.search.criteria, **{name: [value] for name, value in choice.narrowed().items()}}
    facts: dict[str, Any] = {"criteria": criteria, "left_out": choice.exceptions()}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    boxes = hits.order_by().values("mailbox").distinct().count()
    first = hits[0]
    binding = Binding.objects.filter(instance=instance, tenant=True).first()
    return TargetDraft(
        kind=TargetKind.CLUSTER,
        name=in_words(criteria),
        entity=f"query-{digest[:32]}",
        on_name=f"{boxes:,} mailboxes" if boxes != 1 else first.mailbox,
        instance_id=instance.pk,
        instance_name=instance.name,
        remote=binding.remote if binding else "",
        facts={**facts, "seed": first.message_id, "count": hits.count()},
    )


WORDS: Final[Mapping[str, str]] = {
    "sender": "from {}",
    "sender_domain": "from anybody at {}",
    "mailbox": "in the mailbox of {}",
    "recipient": "to {}",
    "subject": "with the subject {}",
    "subject_part": "with {} in the subject",
    "url": "with the link {}",
    "attachment_name": "with an attachment {}",
    "attachment_sha256": "with an attachment of hash {}",
    "message_id": "with the Message-ID {}",
    "since": "since {}",
    "until": "until {}",
}


def in_words(criteria: Mapping[str, Any]) -> str:
    """`Mail from mallory@evil.example, with invoice in the subject`."""
    told = [words.format(_value(criteria[name])) for name, words in WORDS.items() if criteria.get(name)]
    return f"Mail {', '.join(told)}"


def _value(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M} UTC"
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)
