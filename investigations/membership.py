"""Which device group a device is in, and how that follows the groups' rules.

A device is in exactly one group: the best rank whose rules match, else the default group
(domain §7.1). Whatever may move devices is saved by `change_groups`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from django.db.models import Q

from actioncenter.accounts import fence
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings import facts, matching
from actioncenter.settings.models import DeviceGroup
from investigations.models import Device

CHUNK = 500


SYSTEM = Actor.system("membership")


def assign(devices: Iterable[Device], *, by: Actor = SYSTEM) -> int:
    """Put each device in its effective group; returns how many moved. The objects are updated too.

    A constant number of statements per 500 devices, besides one read of the groups.
    """
    devices = list(devices)
    if not devices:
        return 0
    with fence.decider():
        return _assign(devices, by=by)


def _assign(devices: Sequence[Device], *, by: Actor) -> int:
    groups = facts.groups()
    names = dict(DeviceGroup.objects.values_list("pk", "name"))
    moved = []
    for device in devices:
        new = matching.match_group(facts_of(device), groups).id
        if device.group_id != new:
            moved.append(_moved(device, new, names, by=by))
        device.group_id = new
        device.membership_stale = False
    Device.objects.bulk_update(devices, ["group", "membership_stale"], batch_size=CHUNK)
    for start in range(0, len(moved), CHUNK):
        log.record_many(moved[start : start + CHUNK])
    return len(moved)


def facts_of(device: Device) -> matching.DeviceFacts:
    return matching.DeviceFacts(
        name=device.name, domain=device.domain, tags=tuple(device.tags), os=device.os_platform
    )


def _moved(device: Device, new: int, names: dict[int, str], *, by: Actor) -> log.Draft:
    return log.Draft(
        kind=Kind.DEVICE_MOVED,
        by=by,
        subject=f"device:{device.pk}",
        subject_name=device.name,
        before={"group": names.get(device.group_id or 0, "")},
        after={"group": names[new]},
        group_id=new,
    )


@contextmanager
def change_groups() -> Iterator[None]:
    """Save rules, ranks and removals of groups inside this: the only way that may move devices.

    What may move is marked in the same commit, and automation waits for a person there until
    `recompute` has been (design §4, fence). The cost is one pass over the devices.
    """
    with fence.exclusive():
        before = facts.groups()
        yield
        _mark_stale(before, facts.groups())


def _mark_stale(before: Sequence[matching.Group], after: Sequence[matching.Group]) -> None:
    if _order_of(before) == _order_of(after):
        return
    devices = Device.objects.only("name", "domain", "tags", "os_platform", "group_id").iterator(CHUNK)
    ids = [d.pk for d in devices if matching.match_group(facts_of(d), after).id != d.group_id]
    for start in range(0, len(ids), CHUNK):
        Device.objects.filter(pk__in=ids[start : start + CHUNK]).update(membership_stale=True)


def _order_of(groups: Sequence[matching.Group]) -> list[matching.Group]:
    return sorted(groups, key=lambda group: (group.rank is None, group.rank or 0, group.id))


def recompute(*, by: Actor = SYSTEM, limit: int = CHUNK) -> int:
    """Re-assign up to `limit` devices that are stale or in no group; returns how many it looked at."""
    with fence.decider():
        # Intake holds devices in an order of its own; what it holds comes next time.
        rows = Device.objects.select_for_update(no_key=True, skip_locked=True)
        waiting = rows.filter(Q(membership_stale=True) | Q(group__isnull=True))
        devices = list(waiting.order_by("pk")[:limit])
        assign(devices, by=by)
    return len(devices)


def move(group: DeviceGroup, rank: int, *, by: Actor) -> None:
    """Give a group another rank; those between move by one. Raises settings' GroupError."""
    with change_groups():
        group.promote(rank, by=by)


def remove(group: DeviceGroup, *, by: Actor) -> None:
    """Delete a group; its devices fall to the next that matches. Raises settings' GroupError."""
    with change_groups():
        group.remove(by=by)
