"""Of two people who ask for the same on one device in the same moment, the second waits and is told of the first."""

from django.db import connection, transaction

from actioncenter.actions import by_hand
from actioncenter.actions.by_hand import LOCK, Intent
from actioncenter.actions.enums import ActionType
from tests import factories
from tests.audit.sealers import ON_POSTGRES

HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s"


@ON_POSTGRES
def test_whoever_asks_holds_the_device_until_it_is_written_down(shared_database: str) -> None:
    device = factories.device(in_group=factories.group())
    mira = factories.actor(factories.person("mira"))

    def held() -> int:
        with connection.cursor() as cursor:
            cursor.execute(HELD, [LOCK, device.pk])
            return int(cursor.fetchone()[0])

    with transaction.atomic():
        by_hand.take(Intent(ActionType.COLLECT_PACKAGE, device), by=mira, comment="Now.")
        during = held()

    assert (during, held()) == (1, 0)
