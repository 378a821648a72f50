"""Whether the audit log is sealed, and its seals copied."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from actioncenter.audit import sealing as sealer
from actioncenter.audit import signing
from actioncenter.audit.models import Seal
from actioncenter.ops.doctor.finding import Finding, error, warning
from actioncenter.settings import checkpoints
from actioncenter.settings.models import Destination
from actioncenter.settings.models.streams import newest_seal

LATE: Final = timedelta(minutes=5)


def signable() -> Iterator[Finding]:
    try:
        signing.key_after(sealer.newest())
    except signing.KeyMissing as missing:
        yield error(
            "seals.unsigned", str(missing), "This host seals nothing; dangerous actions wait for their seal.",
            "Copy the keys from another host.",
        )  # fmt: skip


def sealed() -> Iterator[Finding]:
    if sealer.is_late(LATE):
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


def streamed() -> Iterator[Finding]:
    for row in Destination.objects.behind():
        # How long the first seal waits that it hasn't got.
        if Seal.objects.filter(number=row.seal + 1, at__lte=Now() - LATE).exists():
            why = row.error or "Nobody has tried."
            yield warning(
                "streams.behind", f"{row} is {row.behind_by(newest_seal())} seals behind: {why}",
                "Whoever watches there doesn't see what happens here; nothing is lost, it goes on where it was.",
                "Mend the receiver, or `manage.py streams disable` what is no longer there.",
            )  # fmt: skip


def _not_copied(title: str) -> Finding:
    return warning(
        "seals.not_copied",
        title,
        "Only a copy shows that the whole log was put back or written anew.",
        "Make that folder writable for the runner; don't change what is in it.",
    )
