"""Which connector carries out what, and why none does."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Binding, Device, Mailbox
from investigations.queries import (
    AmbiguousRoute,
    NoRoute,
    Route,
    bind_to_simulator,
    route,
    routes_for,
)
from tests import factories

pytestmark = pytest.mark.django_db
ISOLATE, KILL, BLOCK_URL = ActionType.ISOLATE_DEVICE, ActionType.KILL_PROCESS, ActionType.BLOCK_URL


@pytest.fixture
def laptop() -> Device:
    return Device.objects.create(name="LT-1")


def instance(name: str, priority: int = 10, *, enabled: bool = True) -> ConnectorInstance:
    return ConnectorInstance.objects.create(kind="ssh", name=name, priority=priority, enabled=enabled)


def bind(at: ConnectorInstance, device: Device, remote: str = "lt-1", **capabilities: Any) -> Binding:
    return Binding.objects.create(instance=at, device=device, remote=remote, capabilities=capabilities)


def reason(device: Device, kind: ActionType = ISOLATE) -> str:
    found = routes_for([device]).find(kind, device=device)
    assert isinstance(found, NoRoute)
    return found.code


def test_best_priority_wins(laptop: Device) -> None:
    bind(instance("Second", 20), laptop)
    first = bind(instance("First", 10), laptop, "one")

    assert route(ISOLATE, device=laptop) == Route(first.instance_id, "First", "one", simulated=False)


def test_what_is_unsupported_there_goes_elsewhere(laptop: Device) -> None:
    bind(instance("First", 10), laptop, isolate={"support": "unsupported", "reason": "No firewall."})
    bind(instance("Second", 20), laptop, isolate={"support": "supported"})

    found = route(ISOLATE, device=laptop)
    assert found is not None
    assert found.instance_name == "Second"


def test_unavailable_now_waits_where_it_is(laptop: Device) -> None:
    bind(instance("First", 10), laptop, isolate={"support": "unavailable_now", "reason": "Offline."})
    bind(instance("Second", 20), laptop)

    found = route(ISOLATE, device=laptop)
    assert found is not None
    assert found.instance_name == "First"


def test_unsupported_everywhere_says_why(laptop: Device) -> None:
    bind(instance("First"), laptop, isolate={"support": "unsupported", "reason": "No firewall."})

    assert routes_for([laptop]).find(ISOLATE, device=laptop) == NoRoute("unsupported", "No firewall.")
    assert route(ISOLATE, device=laptop) is None
    assert route(KILL, device=laptop) is not None


def test_a_tie_is_a_mistake_in_the_settings(laptop: Device) -> None:
    bind(instance("First"), laptop)
    bind(instance("Second"), laptop)

    assert reason(laptop) == "ambiguous"
    with pytest.raises(AmbiguousRoute, match="First and Second"):
        route(ISOLATE, device=laptop)


def test_a_disabled_instance_carries_nothing(laptop: Device) -> None:
    bind(instance("Off", enabled=False), laptop)

    assert reason(laptop) == "no_binding"


def test_an_instance_may_be_limited_to_groups(laptop: Device) -> None:
    ours, other = factories.group("Ours"), factories.group("Others")
    limited = instance("Limited")
    limited.groups.add(ours)
    bind(limited, laptop)

    laptop.group = other
    assert reason(laptop) == "no_binding"
    laptop.group = ours
    assert route(ISOLATE, device=laptop) is not None


def test_url_types_go_through_the_tenant(laptop: Device) -> None:
    bind_to_simulator([laptop])

    found = route(BLOCK_URL)
    assert found is not None
    assert (found.remote, found.simulated) == ("tenant", True)


@pytest.mark.parametrize("kind", ActionType)
def test_the_simulator_reaches_everything_while_it_is_alone(kind: ActionType, laptop: Device) -> None:
    mailbox = Mailbox.objects.create(address="Bo@Halden.example")
    bind_to_simulator([laptop], [mailbox])

    assert CATALOGUE[kind].code
    assert routes_for([laptop], [mailbox]).find(kind, device=laptop) == route(kind, device=laptop)
    on_mailbox = route(kind, mailbox=mailbox)
    assert on_mailbox is not None
    assert on_mailbox.remote == "bo@halden.example"


def test_the_simulator_binds_nothing_beside_a_real_connector(laptop: Device) -> None:
    instance("Real")

    bind_to_simulator([laptop])

    assert not Binding.objects.exists()


def test_binding_twice_changes_nothing(laptop: Device) -> None:
    bind_to_simulator([laptop])
    before = set(Binding.objects.values_list("pk", "remote"))

    bind_to_simulator([laptop])

    assert set(Binding.objects.values_list("pk", "remote")) == before


def test_devices_of_one_name_are_two_machines(laptop: Device) -> None:
    twin, third = (Device.objects.create(name="lt-1") for _ in range(2))

    bind_to_simulator([laptop])
    bind_to_simulator([twin, third])

    remotes = list(Binding.objects.filter(device__isnull=False).values_list("remote", flat=True))
    assert remotes == ["lt-1", f"lt-1#{twin.pk}", f"lt-1#{third.pk}"]


def test_many_cost_as_many_queries_as_one() -> None:
    devices = [Device.objects.create(name=f"lt-{n}") for n in range(60)]

    def queries(some: list[Device]) -> int:
        bind_to_simulator(some)
        with CaptureQueriesContext(connection) as captured:
            routes_for(some)
        return len(captured)

    assert queries(devices[:1]) == queries(devices) == 2
