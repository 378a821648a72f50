"""Rows to decide on, as they are once they are locked, with what a decision on them rests on beside them.

Each row carries `judged_at` (the database's clock, one moment for all) and whether it is `past` its
expiry then, `plan_pk`, `plan_now` (its digest), `plan_seal`, `plan_ended`, `plan_old` and `plan_new` of its newest plan,
`unrouted`, `blocked`, `voted` by this person, and the `head` of its chain in the audit log.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from django.db import connection
from django.db.models import (
    BooleanField,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.base import ModelState
from django.db.models.functions import Cast, Coalesce, Concat, Now

from actioncenter.actions.enums import Choice, TargetKind
from actioncenter.actions.models.plan import COUNTED_WITHIN, Vote
from actioncenter.actions.models.target import ActionTarget, behind_a_failed_undo
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.web.statements import Compiled, given, given_numbers, kept, rows_of

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

READ: Final = (
    "id", "type", "area", "group_id", "decision", "execution", "revision", "fingerprint", "approval_rule",
    "proposers", "target_kind", "target_name", "investigation_id", "decided_by_name", "decided_at",
)  # fmt: skip
"""Columns that a decision on many rests on, or that its answer names."""
BESIDE: Final = (
    "moment", "past", "plan_pk", "plan_now", "plan_seal", "plan_ended", "plan_old", "plan_new", "unrouted", "blocked", "voted",
    "head",
)  # fmt: skip
JSON: Final = ("approval_rule", "proposers")


def locked_rows(model: "type[Action]", ids: Sequence[int], *, by: Actor) -> "list[Action]":
    """Whole rows, waited for: what was read while waiting for a lock may be old."""
    if connection.features.has_select_for_update:
        held = model.objects.filter(pk__in=ids).order_by("pk")
        ids = list(held.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    return judged(model.objects.filter(pk__in=ids), by=by)


def judged(rows: "QuerySet[Action]", *, by: Actor) -> "list[Action]":
    """Rows that the caller has locked."""
    newest = {row.pk: row for row in _judgeable(rows, by.ref)}
    return _at_their_moment(newest.values())


def free_rows(model: "type[Action]", ids: Sequence[int], *, by: Actor) -> "list[Action]":
    """As `locked_rows`, without those that somebody else holds, in one statement, and only `READ` of each.

    Nothing is waited for, so what stands beside the rows is as old as the statement at most; the rows
    themselves are the newest, and a vote or an event that came in between breaks a unique key.
    """
    parsed, newest = cache(json.loads), {}
    # As the driver gives them; Django's converters would take longer than all the rest.
    for values in rows_of(_free(model), [by.ref, json.dumps(ids)]):
        row = dict(zip(_READ, values, strict=True))
        for name in JSON:
            row[name] = parsed(row[name])
        newest[row["id"]] = row
    return _at_their_moment([_thin(model, row) for row in newest.values()])


@kept
def _free(model: "type[Action]") -> Compiled:
    """Takes the person and the numbers of the rows."""
    rows = model._default_manager.filter(pk__in=given_numbers(1))
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
    return _judgeable(rows, given(0, CharField())).values_list(*_READ).query.sql_with_params()


_READ: Final = (*READ, *BESIDE)


def _judgeable(rows: "QuerySet[Action]", person: Any) -> "QuerySet[Any]":
    """A row with several plans comes several times, with the newest plan last."""
    of_revision = FilteredRelation("plans", condition=Q(plans__revision=F("revision")))
    unrouted = ActionTarget.objects.filter(action=OuterRef("pk"), instance__isnull=True).exclude(
        kind=TargetKind.INVESTIGATION
    )
    still = Q(choice=Choice.REJECT) | Q(plan__isnull=True) | Q(plan__digest=OuterRef("plan_now"))
    vote = Vote.objects.filter(
        still, action=OuterRef("pk"), revision=OuterRef("revision"), user_ref=person
    ).order_by("-id")
    text = TextField()
    stream = Concat(Value("action:", text), Cast(OuterRef("pk"), text), output_field=text)
    head = Concat(Cast("seq", text), Value(":", text), "chain", output_field=text)
    events = Event.objects.filter(stream=stream).order_by("-seq")
    found: QuerySet[Any] = rows.annotate(shown=of_revision).order_by("pk", "shown__pk")
    judgeable: QuerySet[Any] = found.annotate(
        moment=Cast(Now(), CharField()),
        past=_is_past("expires_at"),
        plan_pk=F("shown__pk"),
        plan_now=Coalesce(F("shown__digest"), Value("")),
        plan_seal=Coalesce(F("shown__first_seal"), Value("")),
        plan_ended=_is_past("shown__expires_at"),
        plan_old=ExpressionWrapper(
            Q(shown__made_at__lte=Now() - COUNTED_WITHIN), output_field=BooleanField()
        ),
        plan_new=Coalesce(F("shown__new_copies"), 0),
        unrouted=Exists(unrouted),
        # Whether there is any such target is asked once, and hardly ever so.
        blocked=ExpressionWrapper(
            Exists(ActionTarget.objects.filter(blocks=True)) & Exists(behind_a_failed_undo()),
            output_field=BooleanField(),
        ),
        head=Subquery(events.values(head=head)[:1]),
    ).annotate(voted=Subquery(vote.values("choice")[:1]))
    return judgeable


def heads_of(rows: Sequence[Any]) -> log.Heads:
    """Where the chains of such rows go on."""
    found = {}
    for row in rows:
        if row.head:
            seq, _, chain = row.head.partition(":")
            found[f"action:{row.id}"] = (int(seq), chain)
    return log.Heads(rows[0].judged_at, found)


def _is_past(name: str) -> "ExpressionWrapper[Any]":
    return ExpressionWrapper(Q(**{f"{name}__lte": Now()}), output_field=BooleanField())


def _thin(model: "type[Action]", values: Mapping[str, Any]) -> "Action":
    """An action of which only `READ` was read; Django would take longer to make it than to decide on it."""
    row = model.__new__(model)
    row.__dict__.update(values)
    row._state = ModelState()
    row._state.adding = False
    return row


def _at_their_moment(rows: Iterable[Any]) -> "list[Action]":
    """All of one statement have one moment, so it is read once."""
    found = list(rows)
    if found:
        moment = datetime.fromisoformat(found[0].moment)
        for row in found:
            row.judged_at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return found
