"""What a person has to know before accepting a restored database."""

from typing import Any, Final

from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action, Attempt
from actioncenter.settings.models import Installation

ADVICE: Final = (
    "What was decided and sent after the backup is not in this database. Whatever is under way or decided here"
    " is asked about at its target before anything is sent; where the target can't be asked, a person looks."
    " What waits for a decision may have been done already: look before you approve it."
)


def told() -> dict[str, Any]:
    row = Installation.current()
    return {
        "held": row.held_at is not None,
        "held_at": row.held_at.isoformat(timespec="seconds") if row.held_at else None,
        "reason": row.held_reason,
        "epoch": row.epoch,
        "hosts": sorted(row.anchor.get("hosts", {})) if row.held_at else [],
        "open": Attempt.objects.filter(ended_at__isnull=True).count(),
        "queued": Action.objects.running().filter(execution=Execution.QUEUED).count(),
        "waiting": Action.objects.waiting().count(),
    }
