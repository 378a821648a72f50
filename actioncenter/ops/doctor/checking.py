"""All checks, one after another; one that breaks says so and holds up none."""

import logging
from collections.abc import Sequence
from typing import Final

from django.db import Error, connection

from actioncenter.ops.doctor import broker, database, hosts, sealing, work
from actioncenter.ops.doctor.finding import Check, Finding, Grade, error

logger = logging.getLogger(__name__)
CHECKS: Final[Sequence[Check]] = (
    database.schema, database.append_only, database.rights, database.restored,
    sealing.sealed, sealing.copied, sealing.signable, sealing.streamed,
    hosts.key_files, hosts.same_keys, hosts.rotations, hosts.clocks, hosts.versions, hosts.disk,
    work.alive, work.stuck, work.unknown, work.queue, work.stops, work.mail,
    broker.broker,
)  # fmt: skip
ORDER: Final = list(Grade)


def examine(checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """The worst first."""
    try:
        connection.ensure_connection()
    except Error as away:
        return [
            error(
                "database.away",
                f"The database can't be used: {away}",
                "Nothing is decided, sent or recorded.",
                "Start it, or check ACTIONCENTER_DATABASE_URL.",
            )
        ]
    found = [finding for check in checks for finding in _findings(check)]
    return sorted(found, key=lambda finding: ORDER.index(finding.grade))


def _findings(check: Check) -> list[Finding]:
    try:
        return list(check())
    except Exception as broken:
        logger.exception("the check %s broke", check.__name__)
        return [
            error(
                "check.broken",
                f"The check {check.__name__} broke: {type(broken).__name__}",
                "What it looks at isn't known to be sound.",
                "See the log; if migrations are missing, apply them first.",
            )
        ]
