"""Mailboxes on an IMAP server (UIDPLUS, MOVE), opened by one identity in their owners' names."""

from collections.abc import Mapping
from typing import Any

from actioncenter.connectors.imap.connector import KIND, Imap
from actioncenter.connectors.imap.schema import SECRETS_SCHEMA, SETTINGS_SCHEMA, Settings

__all__ = ["KIND", "LABEL", "SECRETS_SCHEMA", "SETTINGS_SCHEMA", "SIMULATED", "build", "validate"]

LABEL = "Mail server (IMAP)"
SIMULATED = False


def build(settings: Mapping[str, Any], secret: Mapping[str, Any]) -> Imap:
    """Settings as in SETTINGS_SCHEMA; the secret holds the `password`. Raises Permanent for bad settings."""
    return Imap(Settings.read(settings), str(secret.get("password", "")))


def validate(settings: Mapping[str, Any]) -> None:
    """Raises Permanent for what makes no sense."""
    Settings.read(settings)
