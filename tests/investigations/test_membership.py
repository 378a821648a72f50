"""A device is in exactly one group, and what changes groups marks whom it may move."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.models import DeviceGroup, GroupError, GroupRule
from investigations import membership
from investigations.models import Device
from tests import factories

pytestmark = pytest.mark.django_db
BY = Actor.system("membership")


def group(called: str, starts: str) -> DeviceGroup:
    """One rank below the last, for devices whose name starts so."""
    made = factories.group(called)
    GroupRule.objects.create(group=made, property="name", operator="starts_with", value=starts)
    return made


def device(name: str, **more: Any) -> Device:
    return Device.objects.create(name=name, **more)


def test_08_the_better_rank_wins_and_swapping_ranks_moves_devices() -> None:
    group("Servers", "srv")
    second = group("Laptops", "lt")
    group("Printers", "prn")
    group("Kiosks", "kio")
    fifth = group("All of finance", "lt-fin")
    laptop = device("lt-fin-001")
    membership.assign([laptop])
    assert laptop.group == second

    membership.move(fifth, 2, by=BY)
    laptop.refresh_from_db()
    assert laptop.membership_stale
    assert laptop.group == second

    membership.recompute()
    laptop.refresh_from_db()
    assert laptop.group == fifth
    assert not laptop.membership_stale


def test_08_the_default_group_is_neither_deleted_nor_ranked() -> None:
    default = DeviceGroup.objects.get(is_default=True)
    group("Servers", "srv")

    with pytest.raises(GroupError):
        membership.remove(default, by=BY)
    with pytest.raises(GroupError):
        membership.move(default, 1, by=BY)

    default.refresh_from_db()
    assert default.rank is None


@pytest.mark.parametrize("rank", [0, 4, -1])
def test_ranks_have_no_gaps(rank: int) -> None:
    groups = [group(name, name) for name in "abc"]

    with pytest.raises(GroupError):
        membership.move(groups[0], rank, by=BY)


@pytest.mark.parametrize(
    ("at", "to", "order"), [(0, 3, "bcad"), (3, 1, "dabc"), (1, 2, "abcd"), (2, 2, "acbd")]
)
def test_groups_between_move_by_one(at: int, to: int, order: str) -> None:
    groups = [group(name, name) for name in "abcd"]

    membership.move(groups[at], to, by=BY)

    ranked = DeviceGroup.objects.filter(is_default=False)
    assert "".join(found.name for found in ranked) == order
    assert [found.rank for found in ranked] == [1, 2, 3, 4]


def test_only_devices_that_move_are_marked() -> None:
    servers = group("Servers", "srv")
    stays, moves = device("prn-1"), device("srv-1")
    membership.assign([stays, moves])

    with membership.change_groups():
        GroupRule.objects.filter(group=servers).update(value="nothing")

    assert list(Device.objects.filter(membership_stale=True)) == [moves]


def test_devices_of_a_removed_group_fall_to_the_next() -> None:
    servers = group("Servers", "srv")
    server = device("srv-1")
    membership.assign([server])

    membership.remove(servers, by=BY)
    membership.recompute()

    server.refresh_from_db()
    assert server.group is not None
    assert server.group.is_default
    assert Event.objects.filter(kind=Kind.GROUP_DELETED, subject_name="Servers").count() == 1


def test_a_move_is_recorded_and_staying_is_not() -> None:
    group("Servers", "srv")
    server = device("srv-1")

    assert membership.assign([server]) == 1
    assert membership.assign([server]) == 0

    event = Event.objects.get(kind=Kind.DEVICE_MOVED)
    assert (event.subject, event.after) == (f"device:{server.pk}", {"group": "Servers"})


def test_a_failed_change_marks_nobody() -> None:
    servers = group("Servers", "srv")
    server = device("srv-1")
    membership.assign([server])

    def fail() -> None:
        with membership.change_groups():
            GroupRule.objects.filter(group=servers).delete()
            raise LookupError

    with pytest.raises(LookupError), transaction.atomic():
        fail()

    assert servers.rules.exists()
    assert not Device.objects.filter(membership_stale=True).exists()


def test_many_devices_cost_as_many_statements_as_few() -> None:
    group("Servers", "srv")

    def statements(devices: list[Device]) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            membership.assign(devices)
        return len(captured)

    assert statements([device(f"srv-{n}") for n in range(2)]) == statements(
        [device(f"srv-x{n}") for n in range(40)]
    )


def test_recompute_stops_at_its_limit() -> None:
    devices = [device(f"srv-{n}") for n in range(5)]

    assert [membership.recompute(limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert not Device.objects.filter(pk__in=[d.pk for d in devices], group=None).exists()
