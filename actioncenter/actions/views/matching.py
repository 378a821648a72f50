"""Everything that a list shows, for one decision: which actions these are is settled when it is sent."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Execution, Risk
from actioncenter.actions.forms import Seen
from actioncenter.actions.models import Action, Invalid
from actioncenter.actions.models.deciding import BULK_LIMIT
from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import Tab, viewer_of
from actioncenter.actions.views.state import state_at
from actioncenter.web import htmx

UNDOABLE: Final = Q(
    undo_of__isnull=True,
    undone_by__isnull=True,
    execution__in=[Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED],
)
ORDER: Final[Mapping[Tab, tuple[str, str]]] = {
    Tab.PENDING: ("expires_at", "id"),
    Tab.HISTORY: ("-history_at", "-id"),
}


class Matching(NamedTuple):
    """At most 500, as they are now, and how many stay for the next time."""

    seen: Mapping[int, Seen]
    rest: int


def matching(request: HttpRequest, sent: Mapping[str, Any]) -> Matching:
    """Every action of the list that the form was sent from, on all its pages. Raises Invalid."""
    verb = Verb(sent["verb"])
    state = state_at(viewer_of(request), htmx.local_path(request, sent["next"], reverse("actions:pending")))
    if state is None or state.complaints or (state.tab is Tab.HISTORY) != (verb is Verb.UNDO):
        raise Invalid("selection", "The list that this was sent from can't be found. Load it again.")
    rows = state.listing.rows()
    if verb is Verb.UNDO:
        rows = rows.filter(UNDOABLE)
    _require_alike(rows, verb)
    found = rows.order_by(*ORDER[state.tab]).values_list("pk", "revision")[:BULK_LIMIT]
    seen = {pk: Seen(revision, None) for pk, revision in found}
    if not seen:
        raise Invalid("selection", "Nothing in this list can be decided any more.")
    return Matching(seen, rows.count() - len(seen))


def _require_alike(rows: "QuerySet[Action]", verb: Verb) -> None:
    """Nobody looks at each of hundreds, so whatever sets one apart from another is looked at on its own."""
    kinds = list(rows.order_by().values_list("type", flat=True).distinct()[:6])
    if len(kinds) > 1:
        names = ", ".join(sorted(CATALOGUE[ActionType(kind)].short for kind in kinds[:5]))
        more = " and more" if len(kinds) > 5 else ""
        raise Invalid("selection", f"This list has several kinds of action: {names}{more}. Narrow it to one.")
    if verb is not Verb.APPROVE:
        return
    risks = set(rows.order_by().values_list("risk", flat=True).distinct())
    if Risk.HIGH in risks:
        raise Invalid("selection", "Some of these are of high risk. Look at them and select each.")
    if len(risks) > 1:
        raise Invalid("selection", "These are of different risk. Select those of one risk by hand.")
