"""What an answer, an error or a silence says of the connector itself, apart from its target."""

from typing import Final

from actioncenter.actions.execution import binding
from actioncenter.actions.execution.outside import cleaned
from actioncenter.actions.models import pacing
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base, registry

HUNG: Final = "No answer came within the time of one call."


class Stopped(base.Transient):
    """Our own: a switch was pulled before anything was sent."""


def note(instance_id: int | None, error: Exception | None, *, by: Actor, first: bool = True) -> None:
    """Of one call: `error` is what it raised. `first`: whether its attempt had not been sent before.

    A lost answer counts once for each attempt: one target that stays dumb says nothing of the others.
    """
    if instance_id is None or isinstance(error, Stopped | registry.UnknownKind):
        return
    if isinstance(error, base.Transient) and error.throttled:
        pacing.hold(instance_id, error.retry_after, cleaned(str(error)), by=by)
    elif is_own_fault(error) or (first and isinstance(error, base.Unknown)):
        pacing.failed(instance_id, cleaned(str(error)), by=by)
    elif not isinstance(error, base.Unknown) and not _is_ours(error):
        pacing.answered(instance_id, by=by)


def hung(instance_id: int | None, *, by: Actor, first: bool = True) -> None:
    """A call that is waited for no longer."""
    if instance_id is not None and first:
        pacing.failed(instance_id, HUNG, by=by)


def is_own_fault(error: Exception | None) -> bool:
    """Whether the connector would fail so for any target: it can't be reached, or isn't let in."""
    if isinstance(error, base.Transient):
        return not error.offline and not error.throttled and not isinstance(error, Stopped)
    return isinstance(error, base.Permanent) and error.code in base.OWN_FAULTS


def _is_ours(error: Exception | None) -> bool:
    """Refused before the far side heard of it."""
    return isinstance(error, base.Permanent) and error.code == binding.TAMPERED
