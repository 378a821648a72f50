"""Sets of actions: what waits, what is history, and the bulk forms of the transitions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from actioncenter.actions.enums import ALLOWED, RUNNING, Decision, Execution
from actioncenter.actions.models import ballots, closing, deciding, proposing, undoing
from actioncenter.actions.models.proposal import Proposal
from actioncenter.actions.models.surprise import Surprise
from actioncenter.actions.models.target import ActionTarget
from actioncenter.audit.actor import Actor
from investigations.models.scoped import ScopedQuerySet

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

WAITING = Q(decision=Decision.PENDING, history_at__isnull=True)
DRIFTED = Q(drifted_at__isnull=False)
UNKNOWN = Q(execution=Execution.OUTCOME_UNKNOWN, history_at__isnull=True)


class ActionQuerySet(ScopedQuerySet["Action"]):
    def waiting(self) -> Self:
        """Undecided and not past expiry."""
        return self.filter(WAITING, expires_at__gt=Now())

    def past_expiry(self) -> Self:
        """Undecided past expiry: shown as expired before the sweeper writes it."""
        return self.filter(WAITING, expires_at__lte=Now())

    def needs_a_look(self) -> Self:
        """An unknown outcome; an undo that failed, a difference or a surprise that nobody has acknowledged."""
        unclear = self.model._default_manager.filter(UNKNOWN).order_by().values("pk")
        # Not an OR: PostgreSQL would walk the whole table for it.
        drifted = self.model._default_manager.filter(DRIFTED).order_by().values("pk")
        return self.filter(pk__in=unclear.union(_failed_undos(), _surprised(), drifted, all=True))

    def pending(self) -> Self:
        odd = Q(pk__in=_failed_undos()) | Q(pk__in=_surprised())
        return self.filter(WAITING & Q(expires_at__gt=Now()) | UNKNOWN | DRIFTED | odd)

    def running(self) -> Self:
        return self.filter(decision__in=list(ALLOWED), execution__in=sorted(RUNNING), history_at__isnull=True)

    def ended(self) -> Self:
        return self.filter(history_at__isnull=False)

    def propose(self, proposal: Proposal, *, by: Actor) -> "tuple[Action, bool]":
        """Create the action unless it exists already; returns it and whether it is new."""
        return proposing.propose(self.model, proposal, by=by)

    def approve_many(
        self, ids: Sequence[int], *, by: Actor, comment: str = "", revisions: Mapping[int, int] | None = None,
        plans: Mapping[int, str] | None = None, approval_id: UUID | None = None, wait: bool = True,
    ) -> "list[deciding.RowResult]":  # fmt: skip
        """One result per id; see deciding.decide_many."""
        ballot = ballots.bulk_ballot(by, comment, revisions, plans, approval_id)
        return deciding.decide_many(self.model, ids, deciding.APPROVE, ballot, wait=wait)

    def reject_many(
        self, ids: Sequence[int], *, by: Actor, comment: str = "", revisions: Mapping[int, int] | None = None,
        approval_id: UUID | None = None, wait: bool = True,
    ) -> "list[deciding.RowResult]":  # fmt: skip
        """One result per id; see deciding.decide_many."""
        ballot = ballots.bulk_ballot(by, comment, revisions, None, approval_id)
        return deciding.decide_many(self.model, ids, deciding.REJECT, ballot, wait=wait)

    def undo_many(
        self, ids: Sequence[int], *, by: Actor, comment: str, approval_id: UUID | None = None
    ) -> "list[deciding.RowResult]":
        return undoing.undo_many(self.model, ids, by=by, comment=comment, approval_id=approval_id)

    def expire_due(self, *, by: Actor, limit: int = 500) -> int:
        """Write the expiry of what is past it; returns how many."""
        return closing.expire_due(self.model, by=by, limit=limit)

    def withdraw(self, code: str, *, by: Actor, **filters: Any) -> int:
        """Withdraw every matching pending action; returns how many."""
        ids = list(self.filter(WAITING, **filters).values_list("pk", flat=True))
        return closing.withdraw(self.model, ids, code, by=by)


def _failed_undos() -> "QuerySet[ActionTarget, Any]":
    """Numbers of the actions that hold a lane closed."""
    return ActionTarget.objects.filter(blocks=True).order_by().values("action")


def _surprised() -> "QuerySet[Surprise, Any]":
    """Numbers of the actions that surprised somebody who hasn't looked yet."""
    return Surprise.objects.filter(looked_at=None, action__isnull=False).order_by().values("action")
