"""Which connector instance reaches which device, mailbox or tenant, and what it can do there."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from django.db import models, transaction

from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import ConnectorInstance
from investigations.models.assets import Device, Mailbox

TENANT: Final = "tenant"


class Binding(models.Model):
    """Exactly one of device, mailbox, tenant. `remote` is the reference on the connector's side.

    `capabilities` maps an action type's code to {"support", "reason", "undoable", …}; empty
    until the runner has read them, which routes like "supported".
    """

    instance = models.ForeignKey(ConnectorInstance, on_delete=models.CASCADE, related_name="bindings")
    device = models.ForeignKey(Device, null=True, on_delete=models.CASCADE, related_name="bindings")
    mailbox = models.ForeignKey(Mailbox, null=True, on_delete=models.CASCADE, related_name="bindings")
    tenant = models.BooleanField(default=False)
    remote = models.CharField(max_length=512)
    capabilities = models.JSONField(default=dict)
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("instance", "device", name="binding_device_unique"),
            models.UniqueConstraint("instance", "mailbox", name="binding_mailbox_unique"),
            models.UniqueConstraint(
                "instance", condition=models.Q(tenant=True), name="binding_tenant_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(device__isnull=False, mailbox__isnull=True, tenant=False)
                | models.Q(device__isnull=True, mailbox__isnull=False, tenant=False)
                | models.Q(device__isnull=True, mailbox__isnull=True, tenant=True),
                name="binding_one_owner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instance} {self.remote}"

    @staticmethod
    def reach(instance: ConnectorInstance, *, mailboxes: Collection[Mailbox] = (), by: Actor) -> None:
        """Let it reach the tenant, and these mailboxes."""
        with transaction.atomic():
            Binding.objects.create(instance=instance, tenant=True, remote=TENANT)
            Binding.objects.bulk_create(
                Binding(instance=instance, mailbox=mailbox, remote=mailbox.address) for mailbox in mailboxes
            )
            before, after = {"tenant": None, "mailboxes": 0}, {"tenant": TENANT, "mailboxes": len(mailboxes)}
            _record(instance, before, after, by=by)

    @staticmethod
    def drop_all(instance: ConnectorInstance, *, by: Actor) -> int:
        """It reaches nothing any more; returns what it did reach."""
        with transaction.atomic():
            number, _ = Binding.objects.filter(instance=instance).delete()
            if number:
                _record(instance, {"bindings": number}, {"bindings": 0}, by=by)
        return number


def _record(
    instance: ConnectorInstance, before: Mapping[str, Any], after: Mapping[str, Any], *, by: Actor
) -> None:
    subject, name = f"connector:{instance.pk}", instance.name[:300]
    log.record(Kind.CONNECTOR_CHANGED, by=by, subject=subject, subject_name=name, before=before, after=after)
