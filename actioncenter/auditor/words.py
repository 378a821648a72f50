"""Words for what the log and the log of views hold."""

from collections.abc import Mapping
from typing import Final

from actioncenter.actions.enums import Area
from actioncenter.audit.enums import Kind, Via

AREAS: Final[Mapping[Area, str]] = {Area.DEVICE: "Devices", Area.EMAIL: "Email"}
VIAS: Final[Mapping[Via, str]] = {
    Via.SESSION: "Signed in",
    Via.TOKEN: "API token",
    Via.COMMAND: "Command line",
    Via.AUTOMATION: "Automation",
    Via.SYSTEM: "The product itself",
}
_OWN: Final[Mapping[str, str]] = {
    Kind.ACCESS_REFUSED: "Access refused",
    Kind.SESSION_SIGN_IN_FAILED: "Sign-in failed",
    Kind.SESSION_SIGNED_IN: "Signed in",
    Kind.SESSION_SIGNED_OUT: "Signed out",
    Kind.SESSION_PROVED: "Password given again",
    Kind.ACTION_BREAK_GLASS: "Break glass used",
    Kind.ACTION_UNKNOWN: "Outcome unknown",
    Kind.AUDIT_VERIFICATION_REQUESTED: "Verification asked for",
    Kind.AUDIT_VERIFIED: "Log verified",
    Kind.AUDIT_REDACTED: "Text redacted",
    Kind.AUDIT_REDACTION_REQUESTED: "Redaction asked for",
    Kind.AUDIT_REDACTION_REJECTED: "Redaction rejected",
    Kind.EXPORT_MADE: "Export made",
    Kind.DEMO_LOADED: "Demo loaded",
}
REFUSED: Final = frozenset(
    {Kind.ACTION_REFUSED, Kind.ACCESS_REFUSED, Kind.SESSION_SIGN_IN_FAILED, Kind.INGEST_REJECTED}
)
"""Somebody or something wanted what was not allowed."""


def kind_label(kind: str) -> str:
    """`action.partly_succeeded` as "Action partly succeeded"."""
    return _OWN.get(kind) or kind.replace(".", " ").replace("_", " ").capitalize()


def area_label(area: int | None) -> str:
    return next((label for known, label in AREAS.items() if known == area), "")


def via_label(via: str) -> str:
    return next((label for known, label in VIAS.items() if known == via), via)


def subject_label(ref: str) -> str:
    """`action:1042` as A-1042, `group:3` as "Group 3"."""
    kind, _, number = ref.partition(":")
    if kind == "action" and number:
        return f"A-{number}"
    if kind == "investigation" and number:
        return f"INV-{number}"
    return f"{kind.replace('_', ' ').capitalize()} {number}".rstrip()


def subject_of(text: str) -> str:
    """What somebody who types A-1042, INV-7 or group:3 means, as the log names it."""
    wanted = text.strip()
    for mark, kind in (("A-", "action"), ("INV-", "investigation")):
        number = wanted.upper().removeprefix(mark)
        if number != wanted.upper() and number.isascii() and number.isdigit():
            return f"{kind}:{int(number)}"
    return wanted
