"""What a connector is. No Django, no application code: plain data in, plain data out.

A connector never decides and never stores; execution hands it a request and a journal and
records what comes back. A request's id is the idempotency key of the outside call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from actioncenter.actions.enums import ActionType, TargetKind

Json = dict[str, Any]


class Delivery(StrEnum):
    """What the far side does with a repeated call, and so what may follow a lost answer."""

    KEYED = "keyed"
    """It dedupes on our id: send the same id again."""
    QUERYABLE = "queryable"
    """It can be asked what became of our id: ask first."""
    BLIND = "blind"
    """Neither: a person has to look."""


class Support(StrEnum):
    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable_now"


@dataclass(frozen=True, slots=True)
class Capability:
    support: Support
    reason: str = ""
    modes: tuple[str, ...] = ()
    undoable: bool = False
    cancellable: bool = False
    delivery: Delivery = Delivery.QUERYABLE


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to act on.

    `key` names it within the request and its results; `remote` is the reference of the
    device, mailbox or tenant on the connector's side; `facts` what is known of the entity
    (path, sha256, pid, address, message id ...); `before` what an undone action recorded.
    """

    key: str
    kind: TargetKind
    remote: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)


def is_left_out(facts: Mapping[str, Any], cluster: Target) -> bool:
    """Whether a message of a cluster is one that people have taken out of it.

    `left_out` names them by any of their facts. Only letters and digits are compared, because what people were
    shown had been cleaned: rather one message too few than one that they wanted left alone.
    """
    wanted = cluster.facts.get("left_out") or ()
    return any(
        bool(each) and all(_letters(facts.get(name)) == _letters(value) for name, value in each.items())
        for each in wanted
    )


def _letters(value: object) -> str:
    return "".join(char for char in str(value or "")[:COMPARED] if char.isalnum()).casefold()


COMPARED = 200


@dataclass(frozen=True, slots=True)
class Request:
    """`id` is a UUID and stays the same over every retry of the same attempt.

    `deadline` is in seconds since the epoch (the caller's clock); `max_bytes` bounds artefacts.
    `plan_digest`, where given, is what `preview` said of these very targets: where it would say
    another now, the first `step` touches nothing and raises Permanent with the code plan_changed.
    """

    id: str
    type: ActionType
    targets: Sequence[Target]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    deadline: float = 0.0
    plan_digest: str = ""
    max_bytes: int = 50_000_000
    max_seconds: float = 30.0


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    ALREADY = "already"
    GONE = "gone"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one target. `before` is what an undo needs, at most 64 KiB as JSON."""

    key: str
    outcome: Outcome
    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)
    error: str = ""


class Spooled(Protocol):
    """What is too large to be held in memory."""

    def blocks(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file that was brought back. `password` is what opens it, where it is locked so that nobody runs it."""

    name: str
    media_type: str
    content: bytes | Spooled
    password: str = ""

    def blocks(self) -> Iterator[bytes]:
        return iter([self.content]) if isinstance(self.content, bytes) else self.content.blocks()


@dataclass(frozen=True, slots=True)
class Done:
    results: Sequence[Result]
    artefacts: Sequence[Artefact] = ()


@dataclass(frozen=True, slots=True)
class Continue:
    """Not finished: call `step` again with `cursor` after `wait` seconds.

    `results` are final for their targets and may arrive before the rest.
    """

    cursor: Json
    wait: float = 1.0
    done: int = 0
    total: int = 0
    message: str = ""
    results: Sequence[Result] = ()
    artefacts: Sequence[Artefact] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What the real system shows now, per target key: `in_force` only if the wanted state was read."""

    in_force: Mapping[str, bool | None]
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen. `digest` covers material facts only (resolved hash, frozen message
    references, mode); `targets` is set where the request's target stands for many (a cluster).
    """

    observed: Json
    changes: Sequence[str]
    affected: Sequence[Json] = ()
    warnings: Sequence[str] = ()
    digest: str = ""
    targets: Sequence[Target] | None = None
    valid_for: float = 3600.0


@dataclass(frozen=True, slots=True)
class Health:
    ok: bool
    detail: str
    facts: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Found references; `complete` is false when the search could not look everywhere."""

    references: Sequence[Json]
    complete: bool
    cursor: Json | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One message as text: nothing of it runs or is fetched. `attachments` have name, type, size and sha256."""

    headers: Sequence[tuple[str, str]]
    text: str
    links: Sequence[str] = ()
    attachments: Sequence[Json] = ()
    cut: bool = False
    """Whether there was more than is told."""


class ConnectorError(Exception):
    """Base of what a connector may raise; the message is safe to show."""


class Transient(ConnectorError):
    """Nothing was sent. May be tried again by itself after `retry_after` seconds.

    `offline`: only this target can't be reached. `throttled`: the far side asked for patience (429),
    so that until then no runner sends anything more to the whole instance. Neither: it can't be reached.
    """

    def __init__(
        self, message: str, retry_after: float = 5.0, *, offline: bool = False, throttled: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.offline = offline
        self.throttled = throttled


OWN_FAULTS = frozenset({"credentials", "identity", "settings"})
"""Codes of `Permanent` that speak of the connector itself and no target: it isn't let in, the far side
shows another host key or certificate than the one trusted, or its settings make no sense."""


class Permanent(ConnectorError):
    """Nothing happened and trying again would not help."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unknown(ConnectorError):
    """It was sent and no answer came: it may or may not have happened."""

    def __init__(self, message: str, evidence: Json | None = None) -> None:
        super().__init__(message)
        self.evidence = evidence or {}


class Conflict(ConnectorError):
    """The far side already runs something that excludes this."""

    def __init__(self, message: str, existing: str = "") -> None:
        super().__init__(message)
        self.existing = existing


class Unsupported(ConnectorError):
    """This target can't do this; the reason is the message."""


class Journal(Protocol):
    """The port through which a connector says what it is about to touch, before touching it."""

    def intent(self, keys: Sequence[str]) -> None:
        """Record that these targets will be touched now. Raises LeaseLost if we no longer may."""

    def touching(self) -> None:
        """The last thing before the touch, after every wait. Raises Transient or LeaseLost where the
        intent has become too old and may no longer be carried out: nothing may be sent then."""

    def result(self, results: Sequence[Result]) -> None:
        """Record results as they come in; they are final."""


class LeaseLost(Exception):
    """Another runner took over: stop at once, send nothing more."""


class Connector(Protocol):
    """One connector instance, built from its settings. Synchronous; called from the runner only."""

    kind: str

    def check(self) -> Health: ...

    def capabilities(self, kind: TargetKind, remote: str) -> Mapping[ActionType, Capability]: ...

    def preview(self, request: Request) -> Plan: ...

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue: ...

    def cancel(self, request: Request, cursor: Json | None) -> bool: ...

    def verify(self, request: Request) -> Observed: ...

    def lookup(self, request: Request) -> Done | Continue | None:
        """After a lost answer: what became of `request.id`; None if the far side never saw it."""

    def search(self, criteria: Mapping[str, Any], cursor: Json | None) -> Page: ...


@runtime_checkable
class ReadsMail(Protocol):
    """A connector that can also bring one message to be looked at. The message stays as it was, unread if it was."""

    def read(self, mailbox: str, stable_id: str, message_id: str) -> Reading: ...


class Kind(Protocol):
    """A connector module: its name, its settings (JSON Schema), the parts of its secret, and how to build one.

    Of a part of the secret `goesTo` names the settings that say who is told it: where one of them
    changes, it has to be given again.
    """

    KIND: str
    LABEL: str
    SIMULATED: bool
    SETTINGS_SCHEMA: Json
    SECRETS_SCHEMA: Json

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Reaches nothing. Raises Permanent with the code `settings` for what makes no sense together."""

    def build(self, settings: Mapping[str, Any], secret: Mapping[str, Any]) -> Connector: ...
