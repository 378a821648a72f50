"""A stopped group is stopped for the devices that are in it now, too, and can't be deleted from under its stop."""

from collections.abc import Callable

import pytest

from actioncenter.actions.enums import Execution
from actioncenter.actions.queries.stopped import waiting_in_queue
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import DeviceGroup, GroupError, Stop
from investigations import membership
from investigations.models import Device
from tests import factories
from tests.actions.test_gates import approved

pytestmark = pytest.mark.django_db
Run = Callable[..., None]


def stopped(group: DeviceGroup) -> Stop:
    by = factories.actor(factories.person("noa"))
    return Stop.pull(StopKind.STOP, StopScope.GROUP, group.pk, by=by)


def test_it_holds_what_was_decided_before_its_device_came_in(run: Run) -> None:
    action, other = approved(), factories.group("Second")
    stop = stopped(other)
    assert waiting_in_queue(stop) == 0
    Device.objects.filter(pk=action.device_id).update(group=other)
    run(action)
    assert (action.execution, waiting_in_queue(stop)) == (Execution.QUEUED, 1)
    stop.lift(by=factories.actor(factories.person("noa")))
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_it_still_holds_what_was_decided_in_it(run: Run) -> None:
    action = approved()
    assert action.group is not None
    stopped(action.group)
    Device.objects.filter(pk=action.device_id).update(group=factories.group("Second"))
    run(action)
    assert action.execution == Execution.QUEUED


def test_it_is_deleted_only_once_nothing_is_stopped() -> None:
    group, by = factories.group("Second"), factories.actor(factories.person("noa"))
    stop = stopped(group)
    with pytest.raises(GroupError) as refused:
        membership.remove(group, by=by)
    assert refused.value.code == "stopped"
    stop.lift(by=by)
    membership.remove(group, by=by)
    assert not DeviceGroup.objects.filter(name="Second").exists()
