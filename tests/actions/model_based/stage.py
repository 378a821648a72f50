"""Where the machine plays: two devices, one group, two who decide and an admin, made once for all runs."""

import time
from dataclasses import dataclass
from typing import Any

from actioncenter.accounts.models import User
from actioncenter.actions import policy
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind
from actioncenter.actions.models import Action, Proposal, TargetDraft
from actioncenter.audit.actor import Actor
from actioncenter.connectors import base
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ApprovalRule, ConnectorInstance, DeviceGroup
from investigations.enums import Verdict
from investigations.models import Device
from tests import factories
from tests.actions.model_based import far_side

PEOPLE = ("mira", "sam")
LEVEL = AutomationLevel.FULL


@dataclass(frozen=True)
class Way:
    """How an action comes about."""

    who: str
    decision: Decision
    source: Source

    @property
    def alone(self) -> bool:
        """A person with the right, acting directly."""
        return self.who == "mira"

    @property
    def automatic(self) -> bool:
        return self.who == "automation" and self.decision == Decision.NOT_REQUIRED


WAYS = (
    Way("automation", Decision.PENDING, Source.AUTOMATED_DEVICE),
    Way("automation", Decision.NOT_REQUIRED, Source.ADVANCED_HUNTING),
    Way("kim", Decision.PENDING, Source.MANUAL_DEVICE),
    Way("mira", Decision.NOT_REQUIRED, Source.MANUAL_DEVICE),
)


@dataclass(frozen=True)
class Stage:
    group: DeviceGroup
    devices: list[Device]
    instance: ConnectorInstance
    people: dict[str, User]
    rule: ApprovalRule

    def actor(self, who: str) -> Actor:
        if who == "automation":
            return Actor.automation()
        return self.people[who].actor(proved_at=time.time())

    def deliver(self, delivery: base.Delivery) -> None:
        """The instance's own word on it, as well as what the far side really does."""
        ConnectorInstance.objects.filter(pk=self.instance.pk).update(settings={"delivery": delivery.value})

    def propose(self, way: Way, *, devices: int, quorum: int, key: str) -> Action:
        """One alone who has to ask others only proposes; so the rule asks for nobody there."""
        asked = {"four_eyes": not way.alone, "quorum": 1 if way.alone else quorum}
        ApprovalRule.objects.filter(pk=self.rule.pk).update(**asked)
        proposal = Proposal(
            type=ActionType.ISOLATE_DEVICE,
            area=Area.DEVICE,
            source=way.source,
            decision=way.decision,
            targets=[self._target(device) for device in self.devices[:devices]],
            evidence=self._evidence() if way.automatic else (),
            verdict=Verdict.MALICIOUS,
            group_id=self.group.pk,
            group_name=self.group.name,
            policy={"group_id": self.group.pk, "level": int(LEVEL), "code": "auto"},
            reason_code="auto",
            comment="To be on the safe side.",
            idempotency_key=key,
        )
        return Action.objects.propose(proposal, by=self.actor(way.who))[0]

    def _evidence(self) -> list[tuple[int, int, str]]:
        """Automation needs a finding that asks for it, still when it begins."""
        found = factories.file_evidence(self.devices[0], recommends_isolation=True)
        return [(found.pk, int(found.verdict), min(policy.AUTOMATIC))]

    def _target(self, device: Device) -> TargetDraft:
        return TargetDraft(
            kind=TargetKind.DEVICE,
            name=device.name,
            device_id=device.pk,
            instance_id=self.instance.pk,
            instance_name=self.instance.name,
            remote=device.name,
        )


def build() -> Stage:
    home = factories.group("Model laptops", LEVEL)
    rule: dict[str, Any] = {"four_eyes": True, "reauthenticate": True, "quorum": 1, "deny_quorum": 1}
    return Stage(
        group=home,
        devices=[factories.device(in_group=home) for _ in range(2)],
        instance=ConnectorInstance.objects.create(kind=far_side.KIND, name="Counting", enabled=True),
        people={name: factories.person(name) for name in (*PEOPLE, "kim", "noa")},
        rule=ApprovalRule.objects.create(action_type=ActionType.ISOLATE_DEVICE, **rule),
    )
