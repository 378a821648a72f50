"""Every verb by action type, and what each may act on."""

from collections.abc import Mapping
from typing import Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType as T
from actioncenter.actions.enums import Area, TargetKind
from actioncenter.connectors.base import Request, Target, Unsupported
from actioncenter.connectors.simulator.devices import DEVICE_VERBS
from actioncenter.connectors.simulator.entities import ENTITY_VERBS
from actioncenter.connectors.simulator.mail import MAIL_VERBS, mailbox_of
from actioncenter.connectors.simulator.scene import DEVICE, MAILBOX, Ref, Scene, State
from actioncenter.connectors.simulator.verbs import Case, Verb

VERBS: Final[Mapping[T, Verb]] = {**DEVICE_VERBS, **ENTITY_VERBS, **MAIL_VERBS}

PIVOT: Final = "The investigation itself carries this out; no connector takes part."

_BULK: Final = frozenset({TargetKind.CLUSTER, TargetKind.MESSAGE})


def on_messages(kind: T) -> bool:
    return CATALOGUE[kind].kind in _BULK


def verb_of(request: Request) -> Verb:
    """The verb of a request; raises Unsupported for a type or a kind of target it doesn't fit."""
    verb = VERBS.get(request.type)
    if verb is None:
        raise Unsupported(PIVOT)
    entry = CATALOGUE[request.type]
    fitting = _BULK if entry.kind in _BULK else {entry.kind}
    for target in request.targets:
        if target.kind not in fitting:
            raise Unsupported(f"{entry.label} can't act on a {target.kind.name.lower()}.")
    return verb


def case_of(scene: Scene, request: Request, target: Target, now: float) -> Case:
    """The thing a target means. Where the estate never heard of it, evidence fills in."""
    verb = VERBS[request.type]
    ref = verb.locate(scene, target)
    state = scene.get(ref)
    if state is None or state.get("assumed"):
        state = {**verb.assume(target), **(state or {}), "assumed": True}
    return Case(scene, request, target, now, ref, state)


def host_of(request: Request, target: Target) -> Ref | None:
    """The device or mailbox that has to be there for the target; None for the tenant's lists."""
    entry = CATALOGUE[request.type]
    if entry.area is Area.DEVICE:
        return Ref(DEVICE, "", target.remote)
    if entry.kind in {TargetKind.URL, TargetKind.SENDER}:
        return None
    return Ref(MAILBOX, "", mailbox_of(target))


def host_state(scene: Scene, request: Request, target: Target) -> State:
    """The state of that device or mailbox; empty where there is none."""
    host = host_of(request, target)
    return (scene.get(host) if host is not None else None) or {}


def owner_of(request: Request, target: Target) -> str:
    """By whose name faults are looked up: the device, the mailbox, else the tenant's reference."""
    host = host_of(request, target)
    return host.name if host is not None else target.remote
