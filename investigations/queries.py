"""Which connector instance carries out a type of action on a device, a mailbox or the tenant."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Binding, Device, Mailbox
from investigations.models.binding import TENANT

SIMULATOR: Final = "simulator"
UNSUPPORTED: Final = "unsupported"
"""Only this answer of a connector rules a binding out: "unavailable now" waits in the queue."""

Owner = tuple[str, int]


class AmbiguousRoute(Exception):
    """Two instances have the same best priority: a mistake in the settings that an admin mends."""


@dataclass(frozen=True, slots=True)
class Route:
    instance_id: int
    instance_name: str
    remote: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class NoRoute:
    """`code` is no_binding, unsupported or ambiguous; `reason` one sentence in plain text."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    route: Route
    priority: int
    capabilities: dict[str, Any]

    def support(self, action_type: ActionType) -> dict[str, Any]:
        said = self.capabilities.get(CATALOGUE[action_type].code)
        return said if isinstance(said, dict) else {}


class Routes:
    """The bindings of some devices and mailboxes and of the tenant, read once."""

    def __init__(self, candidates: dict[Owner, list[_Candidate]]) -> None:
        self._candidates = candidates

    def find(
        self, action_type: ActionType, *, device: Device | None = None, mailbox: Mailbox | None = None
    ) -> Route | NoRoute:
        """The best route. With neither device nor mailbox: that of the tenant."""
        candidates = self._candidates.get(_owner(device, mailbox), [])
        if not candidates:
            return NoRoute("no_binding", "No connector reaches this target.")
        able = [c for c in candidates if c.support(action_type).get("support") != UNSUPPORTED]
        if not able:
            said = next((c.support(action_type).get("reason") for c in candidates), "")
            return NoRoute("unsupported", str(said or "The connector doesn't support this here."))
        best = min(c.priority for c in able)
        chosen = [c.route for c in able if c.priority == best]
        if len(chosen) > 1:
            names = " and ".join(sorted(route.instance_name for route in chosen))
            return NoRoute("ambiguous", f"{names} have the same priority; an admin has to choose.")
        return chosen[0]


def route(
    action_type: ActionType, *, device: Device | None = None, mailbox: Mailbox | None = None
) -> Route | None:
    """The enabled binding with the best priority that supports the type (design §3).

    URL and sender types go through the tenant: pass neither device nor mailbox. None if nothing
    supports it; raises AmbiguousRoute on a tie.
    """
    routes = routes_for([device] if device else [], [mailbox] if mailbox else [])
    found = routes.find(action_type, device=device, mailbox=mailbox)
    if isinstance(found, Route):
        return found
    if found.code == "ambiguous":
        raise AmbiguousRoute(found.reason)
    return None


def routes_for(devices: Iterable[Device], mailboxes: Iterable[Mailbox] = ()) -> Routes:
    """Every route of these and of the tenant, in two queries however many they are."""
    groups_of_devices = {device.pk: device.group_id for device in devices}
    bindings = Binding.objects.filter(
        Q(device__in=list(groups_of_devices))
        | Q(mailbox__in=[mailbox.pk for mailbox in mailboxes])
        | Q(tenant=True),
        instance__enabled=True,
    ).select_related("instance")
    limited_to = _groups_of_instances()
    candidates: dict[Owner, list[_Candidate]] = defaultdict(list)
    for binding in bindings:
        groups = limited_to.get(binding.instance_id)
        # Mailboxes and the tenant are in no group, so an instance's groups say nothing of them.
        if groups and binding.device_id and groups_of_devices[binding.device_id] not in groups:
            continue
        candidates[_owner_of(binding)].append(_candidate(binding))
    return Routes(candidates)


def _groups_of_instances() -> dict[int, set[int]]:
    """Instance -> the device groups it is limited to; instances for every group are absent."""
    limited_to: dict[int, set[int]] = defaultdict(set)
    for link in ConnectorInstance.groups.through.objects.all():
        limited_to[link.connectorinstance_id].add(link.devicegroup_id)
    return limited_to


def _owner(device: Device | None, mailbox: Mailbox | None) -> Owner:
    if device is not None:
        return ("device", device.pk)
    return ("mailbox", mailbox.pk) if mailbox is not None else (TENANT, 0)


def _owner_of(binding: Binding) -> Owner:
    if binding.device_id:
        return ("device", binding.device_id)
    return ("mailbox", binding.mailbox_id) if binding.mailbox_id else (TENANT, 0)


def _candidate(binding: Binding) -> _Candidate:
    instance = binding.instance
    return _Candidate(
        Route(instance.pk, instance.name, binding.remote, instance.simulated),
        instance.priority,
        binding.capabilities,
    )


def bind_to_simulator(devices: Iterable[Device], mailboxes: Iterable[Mailbox] = ()) -> None:
    """While the simulator is the only enabled instance, it reaches everything, the tenant included.

    Its name for a device is the device's DNS name or name in lower case, for a mailbox the address.
    Call it again as often as you like; bindings that stand are left alone.
    """
    enabled = list(ConnectorInstance.objects.filter(enabled=True)[:2])
    if len(enabled) != 1 or enabled[0].kind != SIMULATOR:
        return
    simulator = enabled[0]
    bindings = [Binding(instance=simulator, tenant=True, remote=TENANT)]
    bindings += _bindings_of_devices(simulator, list(devices))
    bindings += [
        Binding(instance=simulator, mailbox=mailbox, remote=mailbox.address.lower()[:512])
        for mailbox in mailboxes
    ]
    Binding.objects.bulk_create(bindings, ignore_conflicts=True)


def _bindings_of_devices(simulator: ConnectorInstance, devices: list[Device]) -> Iterator[Binding]:
    """Names need not be unique, references must be: two devices are two machines."""
    names = {device.pk: (device.dns_name or device.name).lower()[:400] for device in devices}
    taken = set(
        simulator.bindings.filter(device__isnull=False, remote__in=set(names.values()))
        .exclude(device__in=devices)
        .values_list("remote", flat=True)
    )
    for pk, name in names.items():
        remote = f"{name}#{pk}" if name in taken else name
        taken.add(remote)
        yield Binding(instance=simulator, device_id=pk, remote=remote)
