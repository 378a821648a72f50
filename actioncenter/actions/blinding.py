"""The next vote is a judgement of its own: who may still vote doesn't read what others said to theirs.

Every page that shows votes or events of votes asks here. Files that are signed as a whole (`audit export`, `audit pack`)
and receivers of the stream have all; only a shell on the server and the house's own receivers get those.
"""

from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast, Concat

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import Choice, Decision
from actioncenter.actions.models import Action, Plan, Vote
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries.viewer import Viewer
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event

KEPT_BACK: Final = "Shown once you have voted or it is decided."


def is_blind(action: Action, viewer: Viewer) -> bool:
    """Whether what others said to their votes on it is kept back from this person."""
    return action.decision == Decision.PENDING and _open_to(viewer).filter(pk=action.pk).exists()


def keeps_back(event: Event, viewer: Viewer) -> bool:
    """Whether an event tells of such a vote."""
    return Event.objects.filter(_votes(viewer), pk=event.pk).exists()


def readable(rows: QuerySet[Event], viewer: Viewer) -> QuerySet[Event]:
    """Without such votes: finding one by its words would be reading it."""
    return rows.filter(~_votes(viewer)) if may_vote(viewer) else rows


def may_vote(viewer: Viewer) -> bool:
    return bool(_types(viewer))


def _votes(viewer: Viewer) -> Q:
    text = TextField()
    stream = Concat(Value("action:", text), Cast("pk", text), output_field=text)
    return Q(kind=Kind.ACTION_VOTED, stream__in=_open_to(viewer).values_list(stream))


def _open_to(viewer: Viewer) -> "QuerySet[Action]":
    """What waits, may be decided by this person and has no vote of theirs that counts, as `voting.vote_of` has it."""
    plans = Plan.objects.filter(action=OuterRef("pk"), revision=OuterRef("revision")).order_by("-pk")
    still = Q(choice=Choice.REJECT) | Q(plan__isnull=True) | Q(plan__digest=OuterRef("plan_now"))
    own = Vote.objects.filter(
        still, action=OuterRef("pk"), revision=OuterRef("revision"), user_ref=viewer.user.ref
    )
    waiting: QuerySet[Action] = Action.objects.filter(
        decision=Decision.PENDING, expires_at__gt=viewer.now, type__in=_types(viewer)
    )
    planned: QuerySet[Any] = waiting.annotate(plan_now=Subquery(plans.values("digest")[:1]))
    return planned.filter(~Exists(own))


def _types(viewer: Viewer) -> list[int]:
    """Of actions that this person may decide."""
    rights = viewer.rights
    return [int(kind) for kind in CATALOGUE if not rights.refusal(Verb.APPROVE, Action(type=kind))]
