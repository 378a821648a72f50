"""Whether the audit log is sealed, and its seals copied."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from actioncenter.audit import sealing
from actioncenter.ops.doctor.finding import Finding, warning
from actioncenter.settings import checkpoints

LATE: Final = timedelta(minutes=5)


def sealed() -> Iterator[Finding]:
    if sealing.is_late(LATE):
        yield warning(
            "seals.behind",
            f"Events older than {LATE.seconds // 60} minutes are in no seal",
            "They could be dropped unseen, and dangerous actions wait for their seal.",
            "Start a runner; on PostgreSQL look for a transaction that stays open (pg_stat_activity).",
        )


def copied() -> Iterator[Finding]:
    """A host without a runner has no copies, and needs none."""
    if not checkpoints.path().exists():
        return
    try:
        late = checkpoints.missing().filter(at__lte=Now() - LATE).exists()
    except (OSError, ValueError) as broken:
        yield _not_copied(f"The copies of seals can't be read: {broken}")
        return
    if late:
        yield _not_copied(f"Seals older than {LATE.seconds // 60} minutes aren't in {checkpoints.path()}")


def _not_copied(title: str) -> Finding:
    return warning(
        "seals.not_copied",
        title,
        "Only a copy shows that the whole log was put back or written anew.",
        "Make that folder writable for the runner; don't change what is in it.",
    )
