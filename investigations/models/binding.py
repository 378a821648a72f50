"""Which connector instance reaches which device, mailbox or tenant, and what it can do there."""

from django.db import models

from actioncenter.settings.models import ConnectorInstance
from investigations.models.assets import Device, Mailbox


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
