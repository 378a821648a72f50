"""A look at the real thing before somebody confirms an action by hand: what the connector says would change and stop.

It changes nothing and no approval is bound to it; what is then done is judged by its own plan and gates.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from actioncenter.actions import by_hand, dispatch
from actioncenter.actions.by_hand import ASKING, Intent
from actioncenter.actions.enums import Area, JobKind, JobState
from actioncenter.actions.models import ConnectorJob, Invalid, TargetDraft
from actioncenter.actions.models.containing import through_peers
from actioncenter.actions.permissions import Verb, fresh_rights
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from investigations.models import Device
from investigations.queries import routes_for

KEPT: Final = timedelta(hours=1)
"""What was seen longer ago helps nobody to decide."""
MOST: Final = 50
"""Hosts that one look asks."""


def ask(intent: Intent, *, by: Actor) -> ConnectorJob:
    """Have a runner look, or find that one is about to. Raises Refused, NotVisible, Invalid."""
    with transaction.atomic():
        fresh_rights(by).require(Verb.PROPOSE, intent)
        # Who asks twice at once waits here for the first.
        Device.objects.select_for_update(no_key=True).get(pk=intent.device.pk)
        looks = _of(intent)
        under_way = looks.filter(state__lte=JobState.RUNNING).first()
        if under_way is not None:
            return under_way
        ConnectorJob.objects.filter(kind=JobKind.LOOK, finished_at__lt=Now() - KEPT).delete()
        drafts = _drafts(intent)
        instance = drafts[0].instance_id if drafts else None
        if instance is None:
            raise Invalid("connector", "No connector reaches it, so nobody can look.")
        made = ConnectorJob.objects.create(
            kind=JobKind.LOOK,
            instance_id=instance,
            request={
                "device": intent.device.pk,
                "type": int(intent.type),
                "targets": [_sent(draft, place) for place, draft in enumerate(drafts[:MOST])],
            },
            requested_by_name=by.name,
            area=Area.DEVICE,
            group_id=intent.device.group_id,
        )
        log.record(
            Kind.JOB_REQUESTED, by=by, subject=f"device:{intent.device.pk}", subject_name=intent.device.name[:300],
            group_id=intent.device.group_id, detail={"job": "look", "action": intent.entry.code},
        )  # fmt: skip
        transaction.on_commit(dispatch.wake, robust=True)
    return made


def found(intent: Intent, ref: str) -> ConnectorJob | None:
    """The look of that reference, if it is one at this device for this type and nobody forgot it yet."""
    try:
        wanted = UUID(ref)
    except ValueError:
        return None
    return _of(intent).filter(public_id=wanted).first()


def _of(intent: Intent) -> "QuerySet[ConnectorJob]":
    rows = ConnectorJob.objects.filter(kind=JobKind.LOOK, group_id=intent.device.group_id)
    return rows.filter(request__device=intent.device.pk, request__type=int(intent.type)).order_by("-pk")


def _drafts(intent: Intent) -> list[TargetDraft]:
    """As the proposal would have them, of the connector that comes first."""
    wanted = through_peers(by_hand.proposal(intent, routes_for([intent.device]), comment=ASKING))
    reached = [draft for draft in wanted.targets if draft.instance_id]
    return [draft for draft in reached if draft.instance_id == reached[0].instance_id]


def _sent(draft: TargetDraft, place: int) -> dict[str, Any]:
    return {
        "key": f"t{place}",
        "kind": int(draft.kind),
        "remote": draft.remote,
        "facts": {"name": draft.on_name, **draft.facts},
    }


def shown(job: ConnectorJob) -> dict[str, Any]:
    """What a page tells of it."""
    result = job.result
    return {
        "waiting": job.state <= JobState.RUNNING,
        "failed": job.error or "It could not be looked at." if job.state == JobState.FAILED else "",
        "changes": _texts(result.get("changes", ())),
        "warnings": _texts(result.get("warnings", ())),
        "at": job.finished_at,
        "by": job.requested_by_name,
    }


def _texts(texts: Iterable[object]) -> list[str]:
    return [str(text) for text in texts]
