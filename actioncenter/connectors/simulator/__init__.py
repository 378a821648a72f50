"""Devices and mailboxes that exist only in one file. For demos, tests and a first look."""

from collections.abc import Mapping
from typing import Any

from actioncenter.connectors.base import Delivery, Permanent
from actioncenter.connectors.simulator.connector import KIND, Simulator
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.running import Options
from actioncenter.connectors.simulator.schema import SECRETS_SCHEMA, SETTINGS_SCHEMA

__all__ = ["KIND", "LABEL", "SECRETS_SCHEMA", "SETTINGS_SCHEMA", "SIMULATED", "build", "validate"]

LABEL = "Simulator"
SIMULATED = True


def build(settings: Mapping[str, Any], secret: Mapping[str, Any]) -> Simulator:
    """Settings as in SETTINGS_SCHEMA; the secret may hold a `token`. Raises Permanent for bad settings."""
    known = SETTINGS_SCHEMA["properties"]
    given = {name: settings.get(name, schema.get("default")) for name, schema in known.items()}
    if not given["path"]:
        raise Permanent("settings", "The simulator needs the path of its estate file.")
    options = Options(Delivery(given["delivery"]), int(given["chunk"]), float(given["pace"]))
    return Simulator(Estate(given["path"]), options, str(secret.get("token", "")))


def validate(settings: Mapping[str, Any]) -> None:
    """Whatever the schema takes makes sense."""
