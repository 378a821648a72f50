"""Silence is noticed at half time: whoever else may decide is told, once per action (HO-003).

What somebody was on who has left is nobody's again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import (
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Concat, Now
from django.urls import reverse

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import RoleGrant, User
from actioncenter.accounts.notices import notify, notify_admins
from actioncenter.actions.models import Action, Conflict, Review, Vote
from actioncenter.actions.models.assigning import free
from actioncenter.actions.models.settling import locked
from actioncenter.actions.models.voting import has_proposed
from actioncenter.actions.permissions import Rights, Verb, rights_of
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.auditor.models import PageView

AT_ONCE: Final = 500
AWAY: Final = timedelta(hours=4)
"""Whoever hasn't looked at a page for so long has left."""
People = Sequence[tuple[User, Rights]]


def due() -> "QuerySet[Action]":
    """Waiting for longer than is left until the answer is due, and nobody was told yet."""
    end = Coalesce("answer_by", "expires_at")
    return (
        Action.objects.waiting()
        .filter(escalated_at=None)
        .annotate(
            waited=ExpressionWrapper(Now() - F("created_at"), DurationField()),
            left=ExpressionWrapper(end - Now(), DurationField()),
        )
        .filter(waited__gte=F("left"))
    )


def escalate(by: Actor) -> int:
    """Mark what is due, and tell each person once about all of it; returns how many actions."""
    if not due().exists():
        return 0
    # Outside the transaction: the more people, the longer it takes.
    people = [(user, rights_of(user)) for user in _people()]
    with transaction.atomic():
        rows = _marked(by)
        if rows:
            _tell(rows, people)
    return len(rows)


def left() -> "QuerySet[Action]":
    """Waits, and whoever is on it has looked at nothing for a while, or may not sign in any more."""
    ref = Concat(Value("user:"), Cast(OuterRef("assigned_to"), TextField()), output_field=TextField())
    seen = PageView.objects.filter(actor=ref, at__gt=Now() - AWAY)
    since = Coalesce("assigned_at", "updated_at")
    gone = Q(assigned_to__is_active=False) | Q(since__lte=Now() - AWAY) & ~Exists(seen)
    return Action.objects.waiting().exclude(assigned_to=None).annotate(since=since).filter(gone)


def free_what_was_left(by: Actor) -> int:
    """Give it back, one by one; somebody may take it at the same moment."""
    given = 0
    for pk in list(left().order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic(), suppress(Conflict):
            row = locked(Action(pk=pk))
            if left().filter(pk=pk).exists():
                free(row, by=by, comment=f"{row.assigned_to_name} has left.")
                given += 1
    return given


def overdue_reviews() -> "QuerySet[Review]":
    return Review.objects.filter(due_at__lte=Now(), reviewed_at=None, reminded_at=None)


def remind_of_reviews(by: Actor) -> int:
    """Tell the admins, once, that nobody has judged an emergency decision in time."""
    with transaction.atomic():
        late = overdue_reviews().select_related("action").order_by("pk")
        if connection.features.has_select_for_update:
            late = late.select_for_update(of=("self",), skip_locked=True)
        rows = list(late[:AT_ONCE])
        Review.objects.filter(pk__in=[row.pk for row in rows]).update(reminded_at=Now())
        for row in rows:
            notify_admins(
                "review.overdue",
                title=f"Nobody has reviewed {row.action.label}, which {row.made_by_name} approved alone",
                params={"action": row.action_id, "lines": [row.action.what]},
                url=_page(row.action),
                severity=Severity.URGENT,
            )  # fmt: skip
    return len(rows)


def _marked(by: Actor) -> list[Action]:
    rows = due().order_by("pk")
    if connection.features.has_select_for_update:
        # Whoever is being decided or escalated right now needs no second word from here.
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
    found = list(rows[:AT_ONCE])
    Action.objects.filter(pk__in=[row.pk for row in found], escalated_at=None).update(
        escalated_at=Now(), updated_at=Now()
    )
    log.record_many(
        [
            row.draft(Kind.ACTION_ESCALATED, by=by, detail={"answer_by": _end(row).isoformat()})
            for row in found
        ]
    )
    return found


def _tell(rows: Sequence[Action], people: People) -> None:
    told, alone = _deciders(rows, people)
    for user, theirs in told.items():
        notify(
            [user],
            "action.escalated",
            title=_title(theirs, user),
            url=_url(theirs),
            severity=Severity.WARNING,
        )
    if alone:
        count = f"{len(alone):,} actions" if len(alone) > 1 else alone[0].label
        first = min(map(_end, alone))
        notify_admins(
            "action.nobody_on_duty",
            title=f"Nobody is there to decide {count}; the answer is due {first:%b %d, %H:%M} UTC",
            url=_url(alone),
            severity=Severity.URGENT,
        )  # fmt: skip


def _deciders(rows: Sequence[Action], people: People) -> tuple[dict[User, list[Action]], list[Action]]:
    """Who may still decide which, and what nobody may."""
    voted = _voters(rows)
    told: dict[User, list[Action]] = defaultdict(list)
    alone = []
    for row in rows:
        able = [
            user
            for user, rights in people
            if rights.sees(row) and rights.refusal(Verb.APPROVE, row) is None
            and user.ref not in voted[row.pk] and not has_proposed(row, user.ref)
        ]  # fmt: skip
        for user in able:
            told[user].append(row)
        if not able:
            alone.append(row)
    return told, alone


def _people() -> Iterable[User]:
    return User.objects.filter(pk__in=RoleGrant.objects.in_force().values("user_id")).order_by("pk")


def _voters(rows: Sequence[Action]) -> dict[int, set[str]]:
    voted: dict[int, set[str]] = defaultdict(set)
    cast = Vote.objects.filter(action__in=[row.pk for row in rows], revision=F("action__revision"))
    for action, ref in cast.values_list("action_id", "user_ref"):
        voted[action].add(ref)
    return voted


def _end(row: Action) -> datetime:
    end = row.answer_by or row.expires_at
    if end is None:
        raise ValueError(f"{row.label} waits without an end")
    return end


def _title(rows: Sequence[Action], user: User) -> str:
    """`12 actions wait, the first must be answered by Nov 24, 14:05`, in the person's time."""
    first = min(map(_end, rows)).astimezone(user.zone)
    if len(rows) == 1:
        (row,) = rows
        return f"{row.label} waits and must be answered by {first:%b %d, %H:%M %Z}: {row.what}"
    return f"{len(rows):,} actions wait, the first must be answered by {first:%b %d, %H:%M %Z}"


def _url(rows: Sequence[Action]) -> str:
    return _page(rows[0]) if len(rows) == 1 else reverse("actions:pending")


def _page(row: Action) -> str:
    return reverse("actions:detail", args=[row.pk])
