"""Settings of an instance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from actioncenter.connectors.base import Permanent

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def _text(title: str, description: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "string", "title": title, "description": description, **more}


def _number(title: str, default: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "title": title, "default": default, "minimum": 1, "maximum": most}


SETTINGS_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Mail server (IMAP)",
    "type": "object",
    "additionalProperties": False,
    "required": ["host", "user"],
    "properties": {
        "host": _text("Host", default=""),
        "port": _number("Port", 993, 65535),
        "security": {
            "enum": ["tls", "none"],
            "default": "tls",
            "title": "Security",
            "description": "Without TLS only on this very machine.",
        },
        "fingerprint": _text(
            "Certificate", "SHA-256 of the certificate, if no public authority vouches for it.", default=""
        ),
        "sieve_port": {
            "type": "integer",
            "title": "Port of sieve scripts",
            "description": "ManageSieve, 4190 as a rule; 0 where forwarding is none of this connector's business.",
            "default": 0,
            "minimum": 0,
            "maximum": 65535,
        },
        "user": _text("Acting as", "The identity that may open every mailbox.", default=""),
        "directory": _text(
            "File of addresses",
            "Its name in the folder “directories” of this installation. One mailbox a line; a search looks into these.",
            default="",
            pattern="^([A-Za-z0-9_-][A-Za-z0-9._-]*)?$",
            maxLength=128,
        ),
        "domains": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "title": "Own domains",
            "description": "A sender from another one is external.",
        },
        "quarantine": _text(
            "Quarantine folder", "Its owner must have no rights on it.", default="Quarantine"
        ),
        "recoverable": _text("Folder of soft deleted mail", default="Recoverable"),
        "expunged": _text(
            "Hidden copies", "Prefix under which the server keeps what was expunged, if it does.", default=""
        ),
        "chunk": _number("Messages per step", 400, 2000),
        "connections": _number("Connections at once", 4, 32),
        "keep_days": _number("Days that the ledger is kept", 60, 3650),
    },
}

SECRETS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["password"],
    "properties": {
        "password": _text(
            "Password",
            "Of the identity acted as.",
            goesTo=["host", "port", "sieve_port", "security", "fingerprint", "user"],
        ),
    },
}


@dataclass(frozen=True, slots=True)
class Settings:
    host: str
    port: int
    security: str
    fingerprint: str
    sieve_port: int
    user: str
    directory: str
    domains: tuple[str, ...]
    quarantine: str
    recoverable: str
    expunged: str
    chunk: int
    connections: int
    keep_days: int
    directories: str = ""
    """The folder in which the file of addresses lies; the installation's own, never set with the others."""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Settings":
        """Raises Permanent for what makes no sense."""
        known = SETTINGS_SCHEMA["properties"]
        values = {name: given.get(name, schema["default"]) for name, schema in known.items()}
        values["domains"] = tuple(str(each).lower() for each in values["domains"])
        values["fingerprint"] = values["fingerprint"].replace(":", "").lower()
        made = cls(**values, directories=str(given.get("directories", "")))
        if not made.host or not made.user:
            raise Permanent("settings", "The mail connector needs a host and an identity to act as.")
        if made.security == "none" and made.host not in LOOPBACK:
            raise Permanent("settings", "Without TLS the mail connector talks to its own machine only.")
        return made
