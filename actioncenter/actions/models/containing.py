"""Containing a device is carried out by the others: one target for each managed host, all about the one device."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.actions.models.proposal import Proposal, TargetDraft
from investigations.enums import Namespace
from investigations.models import Binding, Device

if TYPE_CHECKING:
    from actioncenter.actions.models.target import ActionTarget

THROUGH_PEERS: Final = frozenset({ActionType.CONTAIN_DEVICE, ActionType.RELEASE_CONTAINMENT})
PEER: Final = "peer:"
"""How the entity of such a target begins; the peer's number follows."""


def through_peers(proposal: Proposal) -> Proposal:
    """The same for every other real host that can do it; as it is where there is none, or it is all simulated."""
    first = proposal.targets[0]
    if (
        proposal.type != ActionType.CONTAIN_DEVICE
        or proposal.undo_of_id
        or proposal.simulated
        or not first.device_id
    ):
        return proposal
    device = Device.objects.get(pk=first.device_id)
    facts = {"name": device.name, "addresses": _addresses(device)}
    drafts = [_draft(first, peer, facts) for peer in peers_of(device)]
    return replace(proposal, targets=drafts) if drafts else proposal


def peers_of(device: Device) -> list[Binding]:
    """Every other host that can do it, by the connector that comes first of those that may reach the host's group."""
    rows = Binding.objects.filter(device__isnull=False, instance__enabled=True, instance__simulated=False)
    rows = rows.exclude(device=device).filter(device__offboarded=False).select_related("instance", "device")
    rows = rows.prefetch_related("instance__groups")
    found: dict[int, Binding] = {}
    for each in rows.order_by("instance__priority", "pk"):
        told = each.capabilities.get(CATALOGUE[ActionType.CONTAIN_DEVICE].code, {})
        limits = {group.pk for group in each.instance.groups.all()}
        in_reach = each.device is not None and (not limits or each.device.group_id in limits)
        if each.device_id and in_reach and told.get("support") == "supported":
            found.setdefault(each.device_id, each)
    return list(found.values())


def _addresses(device: Device) -> list[str]:
    known = device.identities.filter(namespace=Namespace.IP_ADDRESS).values_list("value", flat=True)
    return sorted({*map(str, device.ip_addresses), *known})


def _draft(first: TargetDraft, peer: Binding, facts: Mapping[str, object]) -> TargetDraft:
    return replace(
        first,
        kind=TargetKind.DEVICE,
        entity=f"{PEER}{peer.device_id}",
        on_name=str(peer.device),
        instance_id=peer.instance_id,
        instance_name=peer.instance.name,
        remote=peer.remote,
        facts={**first.facts, **facts},
    )


def moved_peer(targets: "Iterable[ActionTarget]") -> tuple[str, str] | None:
    """A peer that goes by another reference by now: which one it was, and which one it is."""
    rows: Sequence[ActionTarget] = [each for each in targets if each.entity.startswith(PEER)]
    peers = {int(each.entity.removeprefix(PEER)) for each in rows}
    now: dict[tuple[int | None, int | None], str] = {
        (device, instance): remote
        for device, instance, remote in Binding.objects.filter(device__in=peers).values_list(
            "device_id", "instance_id", "remote"
        )
    }
    for each in rows:
        remote = now.get((int(each.entity.removeprefix(PEER)), each.instance_id), each.remote)
        if remote != each.remote:
            return each.remote, remote
    return None
