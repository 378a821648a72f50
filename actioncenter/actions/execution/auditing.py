"""A part of the audit log is read again every minute; what isn't as it was written stops everything.

Which part is left to chance, so that it needs no memory and nobody can know. `manage.py audit verify`
reads the whole.
"""

import secrets
from typing import Final

from django.db.models import Max

from actioncenter.accounts import fence
from actioncenter.actions.enums import SurpriseKind
from actioncenter.actions.execution.surprising import said_of
from actioncenter.actions.models import Surprise
from actioncenter.audit import borders, log, redacted, signing, verify
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Redaction
from actioncenter.audit.trust import Trust
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import Stop

NEWEST: Final = 200
CHUNK: Final = 2000


def broken() -> list[str]:
    """What is wrong with the newest actions' events, or with a part of the rest, and isn't known yet."""
    newest = Event.objects.order_by("-pk").values_list("stream", flat=True)[:NEWEST]
    found = verify.bad_rows_of(stream for stream in newest if stream.startswith("action:"))
    found += verify.Verification().bad_rows(_somewhere())
    said = {said_of(bad) for bad in found} | _forged_border() | _forged_redactions()
    return sorted(said - set(Surprise.objects.filter(said__in=said).values_list("said", flat=True)))


def is_broken() -> bool:
    return bool(broken())


def stop_everything(by: Actor) -> int:
    """Once for each bad row: an append-only log can't be put right, and somebody has to be able to resume."""
    return sum(_stop(said, by=by) for said in broken())


def _stop(said: str, *, by: Actor) -> bool:
    known = Surprise.objects.filter(kind=SurpriseKind.AUDIT, said=said)
    with fence.decider():
        if known.exists():
            return False
        reason = f"The audit log is not what was written. {said}"
        stop = Stop.pull_by_itself(StopKind.STOP, StopScope.ALL, by=by, reason=reason)
        # Whoever found it at the same moment has pulled the same stop and is through with it under this lock.
        list(Stop.objects.select_for_update().filter(pk=stop.pk).values_list("pk"))
        if known.exists():
            return False
        Surprise.objects.create(kind=SurpriseKind.AUDIT, said=said, stop=stop.pk)
        log.record(Kind.SURPRISE_FOUND, by=by, subject="audit", detail={"said": said, "stop": stop.pk})
    return True


def _forged_border() -> set[str]:
    """Whoever may write the record of a purge can have rows deleted, but can't sign it."""
    row = borders.newest()
    fault = borders.fault_of(row, Trust(signing.known())) if row else ""
    return {f"Purge {row.number}: {fault}."} if row and fault else set()


def _forged_redactions() -> set[str]:
    """The same of whoever has text replaced."""
    trust = Trust(signing.known())
    faults = {row: redacted.fault_of(row, trust) for row in Redaction.objects.order_by("-number")[:NEWEST]}
    return {f"Redaction {row.number}: {fault}." for row, fault in faults.items() if fault}


def _somewhere() -> "verify.Rows":
    """So many rows in the order of the chains, from the beginning of one on."""
    last = Event.objects.aggregate(last=Max("pk"))["last"] or 0
    at = Event.objects.filter(pk__gte=secrets.randbelow(last + 1)).order_by("pk").first()
    rows = Event.objects.order_by("stream", "seq")
    return rows.filter(stream__gte=at.stream)[:CHUNK] if at else rows.none()
