"""What it can do where, and why not."""

from collections.abc import Mapping
from typing import Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType as T
from actioncenter.actions.enums import TargetKind
from actioncenter.connectors.base import Capability, Delivery, Support
from actioncenter.connectors.imap import attachments, forwarding, verbs
from actioncenter.connectors.imap.schema import Settings

VERBS: Final[Mapping[T, verbs.Verb | forwarding.ScriptVerb | attachments.AttachmentVerb]] = {
    **verbs.VERBS, **forwarding.VERBS, **attachments.VERBS,
}  # fmt: skip
_MAIL: Final = frozenset(
    {TargetKind.MAILBOX, TargetKind.MESSAGE, TargetKind.ATTACHMENT, TargetKind.CLUSTER, TargetKind.URL, TargetKind.SENDER}
)  # fmt: skip
"""A tenant's binding is asked by the kind URL."""
_NO_SCRIPTS: Final = "The connector's settings name no port of sieve scripts (ManageSieve)."
_REASONS: Final[Mapping[T, str]] = {
    T.BLOCK_URL: "IMAP has no say in what is clicked; that is what block lists are for.",
    T.UNBLOCK_URL: "IMAP has no say in what is clicked; that is what block lists are for.",
    T.BLOCK_SENDER: "IMAP has no say in what is delivered.",
    T.UNBLOCK_SENDER: "IMAP has no say in what is delivered.",
    T.REMOVE_DELEGATION: "This connector can't change who may open a mailbox yet.",
    T.RESTORE_DELEGATION: "This connector can't change who may open a mailbox yet.",
}


def why_not(kind: T, settings: Settings) -> str:
    """Empty if it can."""
    if kind in forwarding.VERBS and not settings.sieve_port:
        return _NO_SCRIPTS
    if kind in VERBS:
        return ""
    return _REASONS.get(kind, "It acts on mail, not on devices.")


def capability(kind: T, place: TargetKind, settings: Settings) -> Capability:
    reason = why_not(kind, settings)
    if not reason and place not in _MAIL:
        reason = "It acts on mail, not on devices."
    if reason:
        return Capability(Support.UNSUPPORTED, reason, delivery=Delivery.KEYED)
    undoable = CATALOGUE[kind].inverse is not None
    return Capability(Support.SUPPORTED, undoable=undoable, cancellable=True, delivery=Delivery.KEYED)
