"""Beside an action by hand that nobody has confirmed yet: how far it reaches, and what a look at the device showed."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from actioncenter.actions import looking
from actioncenter.actions.by_hand import Intent
from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import ActionTarget
from actioncenter.actions.models.containing import THROUGH_PEERS, peers_of
from actioncenter.actions.queries import Viewer, runners
from actioncenter.web.moments import iso, when

Shown = dict[str, Any]


def look_at(intent: Intent, ref: str, viewer: Viewer) -> Shown:
    """What was asked for under that reference, with a tag that changes with it."""
    job = looking.found(intent, ref) if ref else None
    alone = not runners.present().exists()
    tag = hashlib.sha256(repr((job and (job.pk, job.state), alone)).encode()).hexdigest()[:24]
    if job is None:
        return {"asked": False, "waiting": False, "alone": alone, "tag": tag}
    told = looking.shown(job)
    at = told.pop("at")
    return {
        **told, "asked": True, "ref": ref, "alone": alone, "tag": tag, "at": when(at, viewer.now), "at_iso": iso(at),
    }  # fmt: skip


def reach_of(intent: Intent, there: Mapping[str, Sequence[ActionTarget]]) -> list[tuple[str, str]]:
    """Beyond the device itself, as far as our own rows tell."""
    if intent.type in THROUGH_PEERS and intent.holds is None:
        return _peers(intent)
    if intent.type is ActionType.OFFBOARD_DEVICE:
        waiting = {row.action_id for rows in there.values() for row in rows}
        number = len(waiting)
        said = "1 action that waits there is" if number == 1 else f"{number} actions that wait there are"
        return [("Also ends", f"{said} withdrawn")] if waiting else []
    return []


def _peers(intent: Intent) -> list[tuple[str, str]]:
    hosts = [peer.device for peer in peers_of(intent.device) if peer.device is not None]
    if not hosts:
        return []
    critical = sum(host.critical for host in hosts)
    groups = len({host.group_id for host in hosts})
    said = f"{len(hosts)} managed host{'' if len(hosts) == 1 else 's'} in {groups} group{'' if groups == 1 else 's'}"
    return [("Carried out by", f"{said}, {critical} of them critical" if critical else said)]
