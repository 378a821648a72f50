"""Dry run: what would have been done is read and written down. Nothing is sent, and nothing is called done."""

from typing import Any, Final

from django.db import transaction

from actioncenter.actions import reasons
from actioncenter.actions.enums import TargetState
from actioncenter.actions.execution.outside import cleaned
from actioncenter.actions.models import Attempt, TargetResult, attempting, settling
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.connectors import base
from actioncenter.settings.models import ConnectorInstance

CODE: Final = "dry_run"
TOLD: Final = 20
"""Changes and warnings that the log keeps of one attempt."""
LONGEST: Final = 300


def is_on(instance_id: int | None) -> bool:
    """As the database has it now."""
    return ConnectorInstance.objects.filter(pk=instance_id or 0, dry_run=True).exists()


def rehearse(attempt: Attempt, connector: base.Connector, request: base.Request, *, by: Actor) -> None:
    """End the attempt with what it would have done. Raises Transient and LeaseLost, and then it comes again."""
    told = _preview(connector, request)
    sentence = reasons.render(CODE, {"connector": attempt.instance_name, "changes": _sentence(told)})
    with transaction.atomic():
        action = settling.locked(attempt.action)
        left = attempt.targets.filter(state__in=attempting.OPEN).values_list("pk", flat=True)
        ended = [TargetResult(pk, TargetState.CANCELLED, error=sentence, error_class=CODE) for pk in left]
        settling.event(
            action, Kind.ACTION_REHEARSED, by,
            after={"instance": attempt.instance_name, "targets": len(ended), **told},
        )  # fmt: skip
        attempting.finish(attempt, ended, by=by, error=sentence, error_class=CODE)


def _preview(connector: base.Connector, request: base.Request) -> dict[str, Any]:
    try:
        plan = connector.preview(request)
    except base.Transient:
        raise
    except base.ConnectorError as error:
        return {"changes": [], "error": _short(error)}
    changes = [_short(text) for text in plan.changes]
    warnings = [_short(text) for text in plan.warnings[:TOLD]]
    more = {"more_changes": len(changes) - TOLD} if len(changes) > TOLD else {}
    return {"changes": changes[:TOLD], "warnings": warnings, "digest": plan.digest[:64], **more}


def _short(text: object) -> str:
    return str(cleaned(str(text)))[:LONGEST]


def _sentence(told: dict[str, Any]) -> str:
    if told.get("error"):
        return f"what it would have done could not be read ({told['error']})"
    return "; ".join(text.rstrip(".") for text in told["changes"]) or "nothing would have changed"
