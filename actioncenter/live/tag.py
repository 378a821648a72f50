"""Whether anything that somebody sees may have changed, without reading what they see.

A tag covers the person's scope, the decision and execution events in it, progress of what runs, the
next expiry, and the minute, because pages show ages. Newest id and number of the recent events are
both in it: on PostgreSQL an event may commit late under an earlier id, and then only the number moves.
Nothing is written for it, so no decision ever queues behind a counter.
"""

import hashlib
from typing import Final

from django.db.models import Count, Max, Sum
from django.db.models.functions import Length

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action, Attempt, ConnectorJob, Plan
from actioncenter.actions.queries import LiveCounts, Viewer, runners
from actioncenter.actions.spreading import KINDS
from actioncenter.audit import sealing
from actioncenter.audit.models import Event, Seal
from actioncenter.feeds.models import Consumer
from actioncenter.settings.access import Scope, within
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import stop_file_reason
from actioncenter.web.keyset import beside, compiled, figure, scalars
from actioncenter.web.statements import Compiled, kept, rows_of

RECENT: Final = 600
"""Events looked at. A bulk decision writes 500 in one transaction."""


def list_tag(viewer: Viewer, counts: LiveCounts, address: str, *, sealed: bool = False) -> str:
    """For a list or the counts beside it, in the state that `address` gives; `sealed` where it shows what is."""
    (found,) = viewer.once(f"recent {sealed}", lambda: rows_of(_recent(viewer.scope, sealed)))
    return _digest(address, *_person(viewer), counts, stop_file_reason(), *found)


@kept
def _recent(scope: Scope, sealed: bool) -> Compiled:
    recent = Event.objects.filter(pk__in=Event.objects.order_by("-id").values("pk")[:RECENT])
    events = within(recent.filter(kind__startswith="action."), scope)
    running = Action.objects.filter(execution=Execution.IN_PROGRESS, history_at__isnull=True)
    attempts = Attempt.objects.filter(ended_at__isnull=True, action__in=within(running, scope))
    return beside(
        [
            figure(events, Max("pk")),
            figure(events, Count("pk")),
            figure(attempts, Sum("done")),
            figure(attempts, Sum(Length("message"))),
            *_stops(),
            *([compiled(Seal.objects.order_by("-number").values("number")[:1])] if sealed else []),
        ]
    )


def _stops() -> list[Compiled | None]:
    """What is stopped, since when it is quiet, and which runners have heard of it."""
    stops = Stop.objects.in_force()
    return [
        figure(stops, Max("pk")),
        figure(stops, Count("pk")),
        figure(stops, Count("quiet_at")),
        figure(stops, Count("until")),
        figure(stops, Sum(Length("reason"))),
        figure(runners.present(), Sum("acknowledged")),
        figure(runners.present(), Count("pk")),
        figure(runners.silent(), Count("pk")),
        figure(runners.present().exclude(unfit=""), Count("pk")),
    ]


def action_tag(viewer: Viewer, action: Action, address: str) -> str:
    """For one action: its events, its progress, its plan."""
    events = Event.objects.filter(stream=f"action:{action.pk}")
    attempts = Attempt.objects.filter(action=action)
    found = scalars(
        [
            figure(events, Max("seq")),
            figure(attempts, Sum("done")),
            figure(attempts, Sum(Length("message"))),
            figure(Plan.objects.filter(action=action), Max("pk")),
            figure(ConnectorJob.objects.filter(action=action), Sum("state")),
            *_pulled(action),
        ]
    )
    unsealed = len(sealing.waiting([f"action:{action.pk}"]))
    undone = (action.undone_by_id, action.undone_by.execution if action.undone_by else None)
    return _digest(address, *_person(viewer), action.updated_at, *undone, unsealed, *found)


def _pulled(action: Action) -> list[Compiled | None]:
    """How far those who pull the block list have it."""
    if action.type not in KINDS:
        return []
    rows = Consumer.objects.filter(revoked_at=None)
    return [figure(rows, Sum("pulled_version")), figure(rows, Count("pk"))]


def _person(viewer: Viewer) -> tuple[object, ...]:
    scope = viewer.scope
    groups = "all" if scope.groups is None else sorted(scope.groups)
    minute = int(viewer.now.timestamp() // 60)
    user = viewer.user
    return (
        user.pk,
        user.time_zone,
        user.lists,
        groups,
        sorted(scope.areas),
        sorted(viewer.rights.roles),
        minute,
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
