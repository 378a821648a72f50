"""When the database turns out to be older than what was done with it, and how a person accepts that."""

import logging
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit import log, numbers
from actioncenter.audit.actor import Actor
from actioncenter.audit.anchor import Anchor, highest
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import StopKind, StopScope, StopSource
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change
from actioncenter.settings.models.hosts import Installation
from actioncenter.settings.models.stops import Stop

logger = logging.getLogger(__name__)
PAGE: Final = "/settings/health"
SUBJECT: Final = "installation"
HELD: Final = "The database was restored from a backup."


class RestoreError(Exception):
    """An acceptance that isn't allowed; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def hold(reason: str, *, host: str, anchor: Anchor, by: Actor) -> bool:
    """Stop everything and tell the admins; numbers go on above what this host knows.

    False when it was held already; then only what this host knows is added.
    """
    with fence.exclusive():
        row = _locked()
        first = row.held_at is None
        known = dict(row.anchor) if not first else {}
        hosts = {**known.get("hosts", {}), host: anchor.written() | {"sent": len(anchor.sent)}}
        floors = highest(known.get("floors", {}), row.floors, numbers.floors(anchor.numbers))
        _raise_numbers(floors)
        Installation.objects.filter(pk=row.pk).update(anchor={"hosts": hosts, "floors": floors})
        if first:
            _stop(row, reason, host=host, anchor=anchor, by=by)
    return first


def _raise_numbers(floors: dict[str, int]) -> None:
    """Where the role may not, dispatch is held all the same; accepting needs it."""
    try:
        with transaction.atomic():
            numbers.jump(floors)
    except DatabaseError:
        logger.exception("numbers could not be raised: the role needs UPDATE on the sequences")


def _stop(row: Installation, reason: str, *, host: str, anchor: Anchor, by: Actor) -> None:
    Installation.objects.filter(pk=row.pk).update(held_at=Now(), held_reason=reason[:500])
    log.record(
        Kind.RESTORE_FOUND, by=by, subject=SUBJECT, subject_name=str(row.public_id),
        detail={"reason": reason, "host": host, "event": anchor.event, "epoch": anchor.epoch},
    )  # fmt: skip
    Stop.pull(
        StopKind.STOP, StopScope.ALL, by=by, source=StopSource.RESTORE,
        reason=f"{HELD} What was sent since isn't known here: an admin has to accept it.",
    )  # fmt: skip
    notify_admins(
        "restore.found",
        title=f"{HELD} Nothing is sent until an admin accepts that",
        params={"lines": [reason]},
        url=PAGE,
        severity=Severity.URGENT,
    )


def accept(*, by: Actor, comment: str) -> Installation:
    """A person has looked: dispatch goes on, under a new epoch and with numbers that were never given.

    Raises RestoreError with code `comment`, `role`, `not_held` or `reauthenticate`.
    """
    if not comment.strip() or len(comment) > 2000:
        raise RestoreError("comment", "Say what you have looked at, in at most 2,000 characters.")
    with fence.exclusive():
        if not may_change(by):
            raise RestoreError("role", "Only an admin accepts a restored database.")
        row = _locked()
        if row.held_at is None:
            raise RestoreError("not_held", "There is nothing to accept.")
        if not has_proved(by):
            raise RestoreError("reauthenticate", PROOF_NEEDED)
        numbers.jump(row.floors)
        # Numbers given while it was held are known too.
        floors = highest(row.floors, numbers.given())
        before: dict[str, Any] = {"epoch": row.epoch, "held_at": row.held_at.isoformat()}
        Installation.objects.filter(pk=row.pk).update(
            epoch=_next_epoch(row), held_at=None, held_reason="", accepted_at=Now(),
            accepted_by_name=by.name[:200], anchor={**row.anchor, "floors": floors},
        )  # fmt: skip
        row.refresh_from_db()
        log.record(
            Kind.RESTORE_ACCEPTED, by=by, subject=SUBJECT, subject_name=str(row.public_id), before=before,
            after={"epoch": row.epoch}, detail={"comment": comment, "hosts": sorted(row.anchor["hosts"])},
        )  # fmt: skip
        for stop in Stop.objects.in_force().filter(source=StopSource.RESTORE):
            stop.lift(by=by, comment=comment)
        notify_admins(
            "restore.accepted",
            title=f"{by.name} accepted the restored database; dispatch goes on",
            params={"lines": [comment]},
            url=PAGE,
            severity=Severity.WARNING,
        )
    return row


def _next_epoch(row: Installation) -> int:
    """Above every one that a host has seen: the backup may be from before an earlier acceptance."""
    seen = [int(said.get("epoch", 1)) for said in row.anchor.get("hosts", {}).values()]
    return max([row.epoch, *seen]) + 1


def _locked() -> Installation:
    Installation.current()
    # Whatever the database: the row is written first, so others wait.
    Installation.objects.filter(pk=1).update(epoch=F("epoch"))
    return Installation.objects.get(pk=1)
