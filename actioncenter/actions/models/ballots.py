"""What a person sends to decide: the words, and what the page showed of each action."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from actioncenter.actions.enums import Choice, Decision
from actioncenter.actions.permissions import Verb
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action


@dataclass(frozen=True, slots=True)
class Way:
    """What approving, rejecting and breaking the glass differ in."""

    verb: Verb
    choice: Choice
    decision: Decision
    event: Kind
    comment_key: str
    alone: bool = False
    """One person decides, whatever the rule asks for."""

    @property
    def approves(self) -> bool:
        return self.choice == Choice.APPROVE


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a person sends: for which revision and plan of each action, where the page said so."""

    by: Actor
    comment: str = ""
    revisions: Mapping[int, int] = field(default_factory=dict)
    plans: Mapping[int, str] = field(default_factory=dict)
    """Digest of the plan that was shown, or its first 8 letters; '' where none was there."""
    approval_id: UUID | None = None
    mode: str = ""
    with_new: bool = False
    """Also what came since the action was proposed (see recounting)."""


def ballot_of(
    action: "Action", *, by: Actor, comment: str, revision: int | None = None, plan: str | None = None,
    mode: str = "", with_new: bool = False,
) -> Ballot:  # fmt: skip
    """What one person says of one action; None where the page didn't say what it showed."""
    revisions = {} if revision is None else {action.pk: revision}
    plans = {} if plan is None else {action.pk: plan}
    return Ballot(by, comment, revisions, plans, None, mode, with_new)


def bulk_ballot(
    by: Actor, comment: str, revisions: Mapping[int, int] | None, plans: Mapping[int, str] | None,
    approval_id: UUID | None,
) -> Ballot:  # fmt: skip
    """A ballot for several actions, which share one approval id."""
    return Ballot(by, comment, revisions or {}, plans or {}, approval_id or uuid4(), "bulk")
