"""A read of the outside that was taken over: the sleeper's old answer changes nothing."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from actioncenter.actions.enums import JobKind, JobState
from actioncenter.actions.execution import jobs, outside
from actioncenter.actions.models import ConnectorJob, Plan
from actioncenter.connectors import base
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.actions.conftest import RUNNER, estate

__all__ = ["estate"]


def slept_over() -> tuple[ConnectorJob, ConnectorJob]:
    """The same job in the hands of a runner that slept, and of the one that took it over."""
    slept = jobs.claim_next()
    assert slept is not None
    ConnectorJob.objects.filter(pk=slept.pk).update(lease_until=Now() - timedelta(seconds=1))
    taken_over = jobs.claim_next()
    assert taken_over is not None
    return slept, taken_over


def test_a_plan_of_a_runner_that_slept_does_not_replace_a_newer_one(estate: Estate) -> None:
    factories.waiting_mail_action()
    slept, taken_over = slept_over()
    jobs.work(taken_over, by=RUNNER)

    jobs.work(slept, by=RUNNER)

    job = ConnectorJob.objects.get(pk=slept.pk)
    assert (job.state, job.token) == (JobState.DONE, taken_over.token)
    assert Plan.objects.count() == 1


@pytest.mark.parametrize("broken", [False, True], ids=["it answered", "it failed"])
def test_how_a_connector_fared_long_ago_is_not_how_it_fares(
    broken: bool, estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = ConnectorInstance.objects.get()
    ConnectorJob.objects.create(kind=JobKind.CHECK, instance=instance, requested_by_name="tests")
    slept, taken_over = slept_over()
    jobs.work(taken_over, by=RUNNER)
    instance.refresh_from_db()
    if broken:
        monkeypatch.setattr(outside, "connect", raising)

    jobs.work(slept, by=RUNNER)

    seen_at, health = instance.health_at, instance.health
    instance.refresh_from_db()
    assert (instance.health_at, instance.health) == (seen_at, health)


def raising(instance: ConnectorInstance) -> None:
    raise base.Permanent("away", "It was away then")


def test_what_was_read_of_a_device_long_ago_is_not_written(estate: Estate) -> None:
    device = factories.device()
    ConnectorJob.objects.create(
        kind=JobKind.CAPABILITIES, instance=ConnectorInstance.objects.get(), requested_by_name="tests"
    )
    device.bindings.update(read_at=None)
    slept, _ = slept_over()

    jobs.work(slept, by=RUNNER)

    assert device.bindings.get().read_at is None
