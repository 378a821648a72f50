"""Hosts that are enrolled, as the product knows them: a connector, a device for each, a binding with its pin."""

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from actioncenter import keys
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.settings.models import ConnectorInstance
from investigations import membership
from investigations.enums import Namespace, OsFamily
from investigations.models import Binding, Device, DeviceIdentity

KIND: Final = "ssh"
NAME: Final = "Linux hosts"
MOST_CANARIES: Final = 5


class NotEnrolled(Exception):
    """It can't be enrolled so; the text says why."""


def authority() -> Authority:
    """Ours, made with the first host."""
    return Authority(keys.load(settings.KEYS_DIR, "ssh.key").hex())


def connector(name: str, controllers: Sequence[str], *, by: Actor, **options: Any) -> ConnectorInstance:
    """The one of that name, made if there is none and then not enabled. Raises NotEnrolled."""
    found = ConnectorInstance.objects.filter(name__iexact=name).first()
    if found is None:
        if not controllers:
            raise NotEnrolled("Say from which address hosts see us coming: --controller ADDRESS")
        return ConnectorInstance.add(KIND, name, {"controllers": list(controllers), **options}, by=by)
    if found.kind != KIND:
        raise NotEnrolled(f"{found.name} is a connector of another kind.")
    if controllers:
        found.set_options({"controllers": list(controllers), **options}, by=by)
    return found


def register(
    instance: ConnectorInstance, pin: Pin, name: str, *, by: Actor, critical: bool = False
) -> Device:
    """Bind the host to a device: the one that showed this key before, else the one of that name, else a new one.

    Another key under a name we know replaces the pin: an admin has just vouched for it. What was proposed
    under the old one is refused when its turn comes.
    """
    with transaction.atomic():
        device = _device(pin, name, critical)
        Binding.objects.update_or_create(
            instance=instance,
            device=device,
            defaults={"remote": str(pin), "read_at": None, "capabilities": {}},
        )
        _drop_other_bindings(instance, device)
        membership.assign([device], by=by)
        log.record(
            Kind.CONNECTOR_CHANGED, by=by, subject=f"connector:{instance.pk}", subject_name=instance.name[:300],
            before=None, after={"enrolled": device.name, "device": device.pk, "pin": str(pin)},
        )  # fmt: skip
    # By itself: settings change under the exclusive fence, and membership was judged under the shared one.
    canaries = instance.settings.get("canaries", [])
    if len(canaries) < MOST_CANARIES and str(pin) not in canaries:
        instance.set_options({"canaries": [*canaries, str(pin)]}, by=by)
    return device


def _device(pin: Pin, name: str, critical: bool) -> Device:
    identities = [
        (Namespace.HOST_KEY, f"{pin.algorithm} {pin.fingerprint}"),
        (Namespace.HOST_NAME, name.lower()),
    ]
    known = {
        identity.namespace: identity.device
        for space, value in identities
        for identity in DeviceIdentity.objects.filter(namespace=space, value=value).select_related("device")
    }
    device = known.get(Namespace.HOST_KEY) or known.get(Namespace.HOST_NAME)
    if device is None:
        device = Device.objects.create(
            name=name,
            os_family=OsFamily.LINUX,
            os_platform="Linux",
            ip_addresses=[pin.host],
            critical=critical,
        )
    # A host has one key; an old one would go on naming it to whoever holds it.
    key = identities[0][1]
    device.identities.filter(namespace=Namespace.HOST_KEY).exclude(value=key).delete()
    missing = [(space, value) for space, value in identities if space not in known]
    DeviceIdentity.objects.bulk_create(
        DeviceIdentity(device=device, namespace=space, value=value) for space, value in missing
    )
    return device


def _drop_other_bindings(instance: ConnectorInstance, device: Device) -> None:
    """A real host isn't the simulator's any more."""
    device.bindings.exclude(instance=instance).filter(instance__simulated=True).delete()


def forget(instance: ConnectorInstance, *, by: Actor) -> None:
    """Its hosts are gone: reach none of them any more. What was done there stays written."""
    instance.disable(by=by)
    instance.set_options({"canaries": []}, by=by)
    Binding.drop_all(instance, by=by)
