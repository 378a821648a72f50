"""What an action is proposed from, and the keys that identify it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters, lane_of
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind

NAME_LIMIT: Final = 512
PLACE_LIMIT: Final = 320


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

    def substance(self, kind: ActionType) -> str:
        """Everything of it that is sent or shown, as its row will have it."""
        return substance(kind, self, self.lane(kind))


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
    proposers: Sequence[str] = ()
    """Who proposed it before, when it is asked again; otherwise whoever proposes it now."""
    rule_before: Mapping[str, Any] = field(default_factory=dict)
    """What had to be agreed to before, when it is asked again: never less is asked for now."""

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


class Aim(Protocol):
    """A target as it is drafted or as it is stored."""

    @property
    def canonical(self) -> str: ...
    @property
    def device_id(self) -> int | None: ...
    @property
    def mailbox_id(self) -> int | None: ...
    @property
    def name(self) -> str: ...
    @property
    def on_name(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def instance_id(self) -> int | None: ...
    @property
    def instance_name(self) -> str: ...
    @property
    def remote(self) -> str: ...
    @property
    def restore(self) -> bytes | memoryview: ...


def substance(kind: ActionType, target: Aim, lane: str) -> str:
    """A digest over one target. What is restored counts where the action restores it."""
    restored = hashlib.sha256(bytes(target.restore)).hexdigest() if CATALOGUE[kind].is_inverse else ""
    shown = [target.name[:NAME_LIMIT], target.on_name[:PLACE_LIMIT], target.instance_name]
    sent = [
        target.device_id,
        target.mailbox_id,
        target.instance_id,
        target.remote,
        stored(target.facts),
        restored,
    ]
    return digest([target.canonical, lane, shown, sent])


def stored(value: Any) -> Any:
    """As a database gives it back: PostgreSQL keeps no difference between 1e20 and its digits."""
    if isinstance(value, Mapping):
        return {str(name): stored(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [stored(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def fingerprint(intent: str, targets: Sequence[str], policy: Mapping[str, Any], revision: int) -> str:
    """What votes count for and execution checks again (design §3). `targets` are their substances."""
    codes = [policy.get(name) for name in ("group_id", "level", "folder_class", "code")]
    return digest([intent, sorted(targets), codes, revision])


def digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
