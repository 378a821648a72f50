"""Adding, enabling and disabling a connector: who may, what is written down, what else it changes."""

from collections.abc import Callable

import pytest

from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from actioncenter.settings.models.connectors import PaceError
from tests import factories

pytestmark = pytest.mark.django_db

BY = Actor.command("tests")


@pytest.fixture
def made() -> ConnectorInstance:
    return ConnectorInstance.add("ssh", "Linux hosts", {"controllers": ["10.0.0.2"]}, by=BY)


def kinds(instance: ConnectorInstance) -> list[Kind]:
    events = Event.objects.filter(subject=f"connector:{instance.pk}").order_by("pk")
    return [Kind(kind) for kind in events.values_list("kind", flat=True)]


def test_each_change_is_written_down_once(made: ConnectorInstance) -> None:
    made.set_options({"allowed": ["10.0.0.0/24"]}, by=BY)
    made.set_options({"allowed": ["10.0.0.0/24"]}, by=BY)
    made.enable(by=BY)
    made.enable(by=BY)
    assert made.disable(by=BY)
    assert not made.disable(by=BY)

    made.refresh_from_db()
    assert made.settings == {"controllers": ["10.0.0.2"], "allowed": ["10.0.0.0/24"]}
    assert kinds(made) == [
        Kind.CONNECTOR_ADDED, Kind.CONNECTOR_CHANGED, Kind.CONNECTOR_ENABLED, Kind.CONNECTOR_DISABLED,
    ]  # fmt: skip


CHANGES: dict[str, Callable[[ConnectorInstance, Actor], object]] = {
    "add": lambda made, by: ConnectorInstance.add("ssh", "More", {}, by=by),
    "settings": lambda made, by: made.set_options({"controllers": ["0.0.0.0/0"]}, by=by),
    "enable": lambda made, by: made.enable(by=by),
    "disable": lambda made, by: made.disable(by=by),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_only_an_admin_who_has_just_proved_it_may(
    made: ConnectorInstance, change: Callable[[ConnectorInstance, Actor], object]
) -> None:
    before = kinds(made)
    for person, code in (("mira", "role"), ("noa", "reauthenticate")):
        who = factories.person(person)
        by = factories.actor(who) if code == "role" else who.actor()
        with pytest.raises(PaceError) as caught:
            change(made, by)
        assert caught.value.code == code
    assert kinds(made) == before
    change(made, factories.actor(factories.person("noa")))


def test_a_second_real_one_lowers_nothing(made: ConnectorInstance) -> None:
    made.enable(by=BY)
    default = DeviceGroup.objects.filter(is_default=True)
    default.update(level=AutomationLevel.FULL)
    assert ConnectorInstance.add("ssh", "More", {}, by=BY).enable(by=BY) == []
    assert default.get().level == AutomationLevel.FULL


def test_a_simulated_one_lowers_nothing(made: ConnectorInstance) -> None:
    ConnectorInstance.objects.filter(pk=made.pk).update(simulated=True)
    made.refresh_from_db()
    assert made.enable(by=BY) == []
    assert DeviceGroup.objects.get(is_default=True).level == AutomationLevel.FULL
