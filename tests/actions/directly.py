"""What a person with the right does at once, on one target."""

import time
from collections.abc import Mapping
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind
from actioncenter.actions.models import Action, Proposal, TargetDraft
from investigations.models import Binding, Device, Mailbox
from tests import factories


def taken(
    kind: ActionType,
    on: Device | Mailbox | None = None,
    facts: Mapping[str, Any] | None = None,
    by: str = "mira",
    **parameters: Any,
) -> Action:
    """On a device, in a mailbox, or in the tenant."""
    device, mailbox = (on if isinstance(on, Device) else None), (on if isinstance(on, Mailbox) else None)
    binding = on.bindings.get() if on else Binding.objects.get(tenant=True)
    named = facts or {}
    target = TargetKind.MESSAGE if CATALOGUE[kind].kind == TargetKind.CLUSTER else CATALOGUE[kind].kind
    draft = TargetDraft(
        kind=target, name=str(on or "tenant"), entity=str(named.get("name") or named.get("message_id") or ""),
        on_name=str(on or "Everyone"), device_id=device.pk if device else None,
        mailbox_id=mailbox.pk if mailbox else None, instance_id=binding.instance_id, instance_name="Simulator",
        remote=binding.remote, facts=named,
    )  # fmt: skip
    area = CATALOGUE[kind].area
    action, _ = Action.objects.propose(
        Proposal(
            type=kind, area=area, decision=Decision.NOT_REQUIRED, targets=[draft], comment="By hand",
            parameters=parameters,
            source=Source.MANUAL_EMAIL if area == Area.EMAIL else Source.MANUAL_DEVICE,
            group_id=device.group_id if device else None,
        ),
        by=factories.person(by).actor(proved_at=time.time()),
    )  # fmt: skip
    return action
