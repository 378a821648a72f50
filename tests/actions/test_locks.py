"""Who decides or runs never waits for intake: two that wait for each other would both be in error."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.execution import claiming, loop
from actioncenter.actions.models import Action
from investigations import lifecycle, membership
from investigations.enums import RemediationStatus
from investigations.models import Device, Evidence, Mark
from tests import factories
from tests.actions.conftest import RUNNER
from tests.services.database import as_default

pytestmark = pytest.mark.postgres


@contextmanager
def intake_at_work(url: str, *, holds_devices: bool = False) -> Iterator[None]:
    """Another connection holds what intake holds while it plans."""
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with as_default(url), transaction.atomic():
            for item in Evidence.objects.select_for_update().order_by("pk"):
                lifecycle.locked(item.investigation_id)
            if holds_devices:
                list(Device.objects.select_for_update())
            inside.set()
            assert go_on.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert inside.wait(30)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        yield
    finally:
        go_on.set()
        holder.join()


def test_people_decide_while_intake_holds_the_evidence(on_postgres: str) -> None:
    approved, rejected = factories.waiting_actions(2)
    mira = factories.person("mira").actor()
    with intake_at_work(on_postgres):
        approved.approve(by=mira)
        Action.objects.reject_many([rejected.pk], by=mira, comment="A known tool")
    assert (approved.decision, approved.execution) == (Decision.APPROVED, Execution.QUEUED)
    statuses = Evidence.objects.order_by("pk").values_list("remediation", flat=True)
    assert set(statuses) == {RemediationStatus.PENDING_APPROVAL}, "left for housekeeping"

    housekeeping.advance_investigations(RUNNER)

    assert list(statuses.all()) == [RemediationStatus.RUNNING, RemediationStatus.DECLINED]
    assert not Mark.objects.exists()


def test_actions_end_while_intake_holds_the_evidence(on_postgres: str) -> None:
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor())
    with intake_at_work(on_postgres):
        loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.execution == Execution.SUCCEEDED

    housekeeping.advance_investigations(RUNNER)

    assert Evidence.objects.get().remediation == RemediationStatus.REMEDIATED


def test_a_device_that_intake_holds_is_claimed_later(on_postgres: str) -> None:
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor())
    with intake_at_work(on_postgres, holds_devices=True):
        assert claiming.claim_one(action.pk, "r", by=RUNNER) is None
        assert membership.recompute() == 0
    assert claiming.claim_one(action.pk, "r", by=RUNNER) is not None


def test_a_second_vote_of_a_double_click_is_told_so(on_postgres: str) -> None:
    """It waited for the first one's lock, with a view of the votes from before."""
    action = factories.waiting_action()
    Action.objects.update(approval_rule={**action.approval_rule, "quorum": 2}, quorum=2)
    mira = factories.person("mira").actor()
    answers: list[str] = []

    def click() -> None:
        with as_default(on_postgres):
            try:
                Action.objects.get(pk=action.pk).approve(by=mira)
                answers.append("voted")
            except Exception as error:  # noqa: BLE001 - its class is what is looked at
                answers.append(type(error).__name__)

    with transaction.atomic():
        Action.objects.select_for_update().get(pk=action.pk)
        clicks = [threading.Thread(target=click) for _ in range(2)]
        for each in clicks:
            each.start()
        _wait_for_waiting(2)
    for each in clicks:
        each.join()
    assert sorted(answers) == ["Conflict", "voted"]


def _wait_for_waiting(number: int) -> None:
    for _ in range(30_000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0] >= number:
                return
    raise AssertionError("nobody is waiting")
