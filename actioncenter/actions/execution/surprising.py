"""Surprises: what nobody expected is written down, its like is paused on that connector, people look.

The pause comes with the surprise, in one transaction, so nothing of the kind is begun after it. What
only text from outside can cause pauses no more than its own investigation: an attacker must not be able
to switch off the defence of everybody else by the name of a file.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from django.db.models import OuterRef, Q, Subquery

from actioncenter.accounts import fence
from actioncenter.actions import reasons
from actioncenter.actions.enums import ActionType, SurpriseKind
from actioncenter.actions.execution import claims
from actioncenter.actions.execution.binding import TAMPERED, Refusal
from actioncenter.actions.models import Action, Surprise, settling
from actioncenter.actions.models.containing import PEER, THROUGH_PEERS, moved_peer
from actioncenter.actions.models.surprise import code_of
from actioncenter.audit import verify
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors import base
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import Stop
from actioncenter.web.text import capped
from investigations.models import Binding, Evidence

IDENTITY_CHANGED: Final = "identity_changed"
REACH_EXCEEDED: Final = "reach_exceeded"
BY_CODE: Final[Mapping[str, SurpriseKind]] = {
    IDENTITY_CHANGED: SurpriseKind.IDENTITY,
    REACH_EXCEEDED: SurpriseKind.REACH,
}
"""Codes with which the runner or a connector refuses, and that nobody expects."""
LONGEST: Final = 500
READ_AT_ONCE: Final = 50


def found(
    action: Action, kind: SurpriseKind, *, by: Actor, said: str = "", instance_id: int | None = None
) -> None:
    """Write it down, tell people, pause its like; once while nobody has looked.

    It takes the last locks of the caller's transaction, if that has one.
    """
    said = capped(" ".join(said.split()), LONGEST)
    with fence.decider():
        row = settling.locked(action)
        if row.surprises.filter(kind=kind, looked_at=None).exists():
            return
        stop = _hold(row, kind, said, instance_id, by=by)
        Surprise.objects.create(action=row, kind=kind, instance_id=instance_id, said=said, stop=stop.pk)
        told = {"surprise": kind.name.lower(), "detail": reasons.render(code_of(kind)), "said": said}
        settling.event(row, Kind.SURPRISE_FOUND, by, detail={**told, "stop": stop.pk})


def _hold(action: Action, kind: SurpriseKind, said: str, instance_id: int | None, *, by: Actor) -> Stop:
    reason = f"{action.label}: {reasons.render(code_of(kind))} {said}"
    if kind == SurpriseKind.AUDIT:
        return Stop.pull_by_itself(StopKind.STOP, StopScope.ALL, by=by, reason=reason)
    if kind == SurpriseKind.EVIDENCE and action.investigation_id:
        scope, value = StopScope.INVESTIGATION, action.investigation_id
        return Stop.pull_by_itself(StopKind.PAUSE, scope, value, by=by, reason=reason)
    return Stop.pull_by_itself(
        StopKind.PAUSE, StopScope.TYPE, ActionType(action.type).value, on_connector=instance_id, by=by,
        reason=reason, not_by=_involved(action),
    )  # fmt: skip


def _involved(action: Action) -> set[str]:
    """Who asked for it or decided it."""
    people = {pk for pk in (action.requested_by_id, action.decided_by_id) if pk}
    return {f"user:{pk}" for pk in people} | set(action.votes.values_list("user_ref", flat=True))


# Before anything is sent


def refused(action: Action, refusal: Refusal, *, by: Actor) -> None:
    """Of refusals, what nobody expected. A row that differs from the log is one thing, a broken log another."""
    instance_id = action.targets.order_by("pk").values_list("instance", flat=True).first()
    said = f"Approved was {refusal.agreed}, found {refusal.found}." if refusal.found else ""
    if refusal.code in BY_CODE:
        found(action, BY_CODE[refusal.code], by=by, said=said, instance_id=instance_id)
    elif refusal.code == TAMPERED and (bad := broken_log(action)):
        found(action, SurpriseKind.AUDIT, by=by, said=bad)


def identity_changed(action: Action) -> Refusal | None:
    """A target whose device or mailbox goes by another reference on the connector's side by now."""
    if action.type in THROUGH_PEERS and (moved := moved_peer(action.targets.order_by("pk"))):
        return Refusal(IDENTITY_CHANGED, agreed=moved[0], found=moved[1])
    owner = Q(device=OuterRef("device")) | Q(mailbox=OuterRef("mailbox"))
    rows = Binding.objects.filter(owner, instance=OuterRef("instance")).exclude(remote=OuterRef("remote"))
    targets = action.targets.all()
    if action.type in THROUGH_PEERS:
        targets = targets.exclude(entity__startswith=PEER)
    named = targets.annotate(now=Subquery(rows.values("remote")[:1])).filter(now__isnull=False)
    differing = named.order_by("pk").values_list("remote", "now").first()
    return Refusal(IDENTITY_CHANGED, agreed=differing[0], found=differing[1]) if differing else None


def claim_of(action: Action) -> str:
    """What the evidence of an action that would run by itself claims and nobody has read yet."""
    if not action.automatic or action.undo_of_id:
        return ""
    read = Surprise.objects.filter(action__investigation=action.investigation_id, kind=SurpriseKind.EVIDENCE)
    newest = read.exclude(looked_at=None).order_by("-looked_at").values_list("looked_at", flat=True).first()
    rows = Evidence.objects.filter(links__action=action).order_by("pk")
    if newest is not None:
        rows = rows.filter(created_at__gt=newest)
    texts = rows.values_list("name", "path", "facts", "threats")[:READ_AT_ONCE]
    return next((claim for text in claims.texts_of(list(texts)) if (claim := claims.claim_in(text))), "")


def broken_log(action: Action) -> str:
    """What is wrong with the log of this action; empty where only the row differs from it."""
    stream = f"action:{action.pk}"
    if not Event.objects.filter(stream=stream).exists():
        return f"{stream}: nothing is left of it"
    return next((said_of(bad) for bad in verify.bad_rows_of([stream])), "")


def said_of(bad: verify.BadRow) -> str:
    return f"{bad.stream} number {bad.seq}: {bad.fault}, {bad.message}"


# In what comes back


def strangers(request: base.Request, named: Iterable[str]) -> list[str]:
    """Keys that aren't of the request."""
    asked = {target.key for target in request.targets}
    return sorted({str(key) for key in named} - asked)
