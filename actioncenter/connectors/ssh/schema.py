"""Settings of one instance, and what they mean once read."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from actioncenter.connectors.base import Permanent

_NETWORKS: Final = {
    "type": "array",
    "items": {"type": "string", "maxLength": 64, "format": "ip-network"},
    "maxItems": 64,
}

SETTINGS_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Linux hosts over SSH",
    "type": "object",
    "additionalProperties": False,
    "required": ["controllers"],
    "properties": {
        "controllers": {
            **_NETWORKS,
            "minItems": 1,
            "title": "Our own addresses",
            "description": "Addresses or networks from which hosts see us coming. Certificates hold only from "
            "there, and an isolated host goes on listening to nobody else.",
        },
        "allowed": {
            **_NETWORKS,
            "default": [],
            "title": "Allowed in selective isolation",
            "description": "Addresses or networks that a selectively isolated host may still reach.",
        },
        "user": {
            "type": "string",
            "pattern": "^[a-z_][a-z0-9_-]{0,31}$",
            "default": "actioncenter",
            "title": "Account on the hosts",
        },
        "rollback_after": {
            "type": "number",
            "minimum": 2,
            "maximum": 120,
            "default": 20,
            "title": "Seconds until an isolation that wasn't confirmed is taken back",
        },
        "canaries": {
            "type": "array",
            "items": {"type": "string", "maxLength": 512},
            "maxItems": 5,
            "default": [],
            "title": "Hosts that a check signs in to",
        },
        "namespace": {
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]{0,64}$",
            "default": "",
            "title": "Network namespace",
            "description": "Where this machine has a network of its own for management; empty is the usual one.",
        },
    },
}

SECRETS_SCHEMA: Final[dict[str, Any]] = {"type": "object", "properties": {}}
"""The key that signs the certificates lies in the folder of the keys, not here."""


@dataclass(frozen=True, slots=True)
class Options:
    controllers: tuple[str, ...]
    allowed: tuple[str, ...] = ()
    user: str = "actioncenter"
    rollback_after: float = 20.0
    canaries: tuple[str, ...] = ()
    namespace: str = ""

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Self:
        """Raises Permanent with the code `settings`."""
        controllers, allowed = _networks(settings, "controllers"), _networks(settings, "allowed")
        if not controllers:
            raise Permanent("settings", "The addresses from which we reach the hosts have to be given.")
        return cls(
            controllers,
            allowed,
            str(settings.get("user") or "actioncenter"),
            float(settings.get("rollback_after", 20.0)),
            tuple(map(str, settings.get("canaries", ()))),
            str(settings.get("namespace", "")),
        )


def _networks(settings: Mapping[str, Any], name: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(str(each))) for each in settings.get(name, ()))
    except ValueError:
        raise Permanent("settings", f"{name} holds something that is no address or network.") from None
