"""What the simulator can do where, and why not."""

from collections.abc import Mapping
from typing import Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType as T
from actioncenter.actions.enums import Area, TargetKind
from actioncenter.connectors.base import Capability, Delivery, Support
from actioncenter.connectors.simulator.table import PIVOT, VERBS, on_messages

_REGISTRY: Final = "Only Windows has a registry."
_DRIVER: Final = "Drivers can be disabled on Windows only."
_OFFBOARD: Final = "Machines can be offboarded on Windows only."
_RESTRICT: Final = "macOS has no policy that would restrict execution."

NOT_ON: Final[Mapping[T, Mapping[str, str]]] = {
    T.REMOVE_REGISTRY_KEY: {"linux": _REGISTRY, "macos": _REGISTRY},
    T.RESTORE_REGISTRY_KEY: {"linux": _REGISTRY, "macos": _REGISTRY},
    T.DISABLE_DRIVER: {"linux": _DRIVER, "macos": _DRIVER},
    T.ENABLE_DRIVER: {"linux": _DRIVER, "macos": _DRIVER},
    T.OFFBOARD_DEVICE: {"linux": _OFFBOARD, "macos": _OFFBOARD},
    T.RESTRICT_EXECUTION: {"macos": _RESTRICT},
    T.RELEASE_EXECUTION: {"macos": _RESTRICT},
}
THROUGH_PEERS: Final = frozenset({T.CONTAIN_DEVICE, T.RELEASE_CONTAINMENT})
"""The peers carry these out, so the device itself need not answer."""

_MODES: Final[Mapping[T, tuple[str, ...]]] = {
    T.ISOLATE_DEVICE: ("full", "selective"),
    T.ANTIVIRUS_SCAN: ("quick", "full"),
}
_MAILBOXES: Final = frozenset({TargetKind.MAILBOX, TargetKind.MESSAGE, TargetKind.ATTACHMENT})
_LISTS: Final = frozenset({TargetKind.URL, TargetKind.SENDER})
_MAIL: Final = _MAILBOXES | _LISTS | {TargetKind.CLUSTER}


def on_mail(place: TargetKind) -> bool:
    return place in _MAIL


def cancellable(kind: T) -> bool:
    """Only what takes several steps can be stopped between them."""
    verb = VERBS.get(kind)
    return verb is not None and (verb.stages is not None or on_messages(kind))


def why_not(kind: T, os: str) -> str:
    """Why a device with this operating system can't do it; empty if it can."""
    return NOT_ON.get(kind, {}).get(os, "")


def _misplaced(kind: T, place: TargetKind) -> str:
    """Why this type has no business at such a target; a tenant's binding reaches all of its mail."""
    entry = CATALOGUE[kind]
    if kind not in VERBS:
        return PIVOT
    if place is TargetKind.INVESTIGATION:
        return "It acts on devices and mail, not on investigations."
    if on_mail(place) != (entry.area is Area.EMAIL):
        return "It acts on devices, not on mail." if on_mail(place) else "It acts on mail, not on devices."
    if place in _MAILBOXES and entry.kind in _LISTS:
        return "It acts on the tenant, not on one mailbox."
    return ""


def capability(kind: T, place: TargetKind, os: str, offline: bool, delivery: Delivery) -> Capability:
    reason = _misplaced(kind, place) or why_not(kind, os)
    if reason:
        return Capability(Support.UNSUPPORTED, reason, delivery=delivery)
    away = offline and kind not in THROUGH_PEERS
    return Capability(
        Support.UNAVAILABLE if away else Support.SUPPORTED,
        "It is offline; the action waits until it is back." if away else "",
        modes=_MODES.get(kind, ()),
        undoable=CATALOGUE[kind].inverse is not None,
        cancellable=cancellable(kind),
        delivery=delivery,
    )
