"""A read of the outside that was taken over: the sleeper's old answer changes nothing."""

from datetime import timedelta

from django.db.models.functions import Now

from actioncenter.actions.enums import JobState
from actioncenter.actions.execution import jobs
from actioncenter.actions.models import ConnectorJob, Plan
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.conftest import RUNNER, estate

__all__ = ["estate"]


def test_a_plan_of_a_runner_that_slept_does_not_replace_a_newer_one(estate: Estate) -> None:
    factories.waiting_mail_action()
    slept = jobs.claim_next()
    assert slept is not None
    ConnectorJob.objects.filter(pk=slept.pk).update(lease_until=Now() - timedelta(seconds=1))
    taken_over = jobs.claim_next()
    assert taken_over is not None
    jobs.work(taken_over, by=RUNNER)

    jobs.work(slept, by=RUNNER)

    job = ConnectorJob.objects.get(pk=slept.pk)
    assert (job.state, job.token) == (JobState.DONE, taken_over.token)
    assert Plan.objects.count() == 1
