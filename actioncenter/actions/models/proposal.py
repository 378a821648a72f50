"""What an action is proposed from, and the keys that identify it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actioncenter.actions.catalogue import clean_parameters, lane_of
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind


@dataclass(frozen=True, slots=True)
class TargetDraft:
    """One thing to act on. `entity` identifies it within its owner (hash, path, message id, URL)."""

    kind: TargetKind
    name: str
    entity: str = ""
    on_name: str = ""
    device_id: int | None = None
    mailbox_id: int | None = None
    instance_id: int | None = None
    instance_name: str = ""
    remote: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    restore: bytes = b""

    @property
    def canonical(self) -> str:
        return canonical(self.kind, self.device_id, self.mailbox_id, self.entity)

    def lane(self, kind: ActionType) -> str:
        digest = self.entity if len(self.entity) <= 128 else hashlib.sha256(self.entity.encode()).hexdigest()
        return lane_of(kind, _owner(self.device_id, self.mailbox_id), digest)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Everything Action.objects.propose needs. `decision` is pending or not_required."""

    type: ActionType
    area: Area
    source: Source
    decision: Decision
    targets: Sequence[TargetDraft]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    investigation_id: int | None = None
    evidence: Sequence[tuple[int, int, str]] = ()
    """(evidence id, verdict, outcome code) for each piece that led here."""
    verdict: int = 1
    critical: bool = False
    group_id: int | None = None
    group_name: str = ""
    policy: Mapping[str, Any] = field(default_factory=dict)
    reason_code: str = ""
    comment: str = ""
    round: int = 1
    undo_of_id: int | None = None
    approval_id: str | None = None
    external_id: str = ""
    idempotency_key: str = ""
    simulated: bool = False

    @property
    def intent_key(self) -> str:
        """Over the parameters as they will be stored. Raises catalogue.ParameterError."""
        parameters = clean_parameters(self.type, self.parameters)
        return intent_key(self.type, [target.canonical for target in self.targets], parameters)


def canonical(kind: TargetKind, device_id: int | None, mailbox_id: int | None, entity: str) -> str:
    """The name of a target in intent keys."""
    return f"{kind.name.lower()}|{_owner(device_id, mailbox_id)}|{entity}"


def _owner(device_id: int | None, mailbox_id: int | None) -> str:
    if device_id:
        return str(device_id)
    return f"m{mailbox_id}" if mailbox_id else ""


def intent_key(kind: ActionType, targets: Sequence[str], parameters: Mapping[str, Any]) -> str:
    """SHA-256 over type, targets in order of their names, and parameters."""
    return digest([int(kind), sorted(targets), dict(parameters)])


def fingerprint(
    intent: str, instances: Sequence[int | None], policy: Mapping[str, Any], revision: int
) -> str:
    """What votes count for and execution checks again (design §3)."""
    codes = [policy.get(name) for name in ("group_id", "level", "folder_class", "code")]
    return digest([intent, sorted(i or 0 for i in instances), codes, revision])


def digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
