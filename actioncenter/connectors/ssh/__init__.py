"""Linux hosts over SSH: agentless but for one root-owned helper, signed in to by a certificate for each call."""

from collections.abc import Mapping
from typing import Any

from actioncenter.connectors.base import Permanent
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.connector import KIND, SshHosts
from actioncenter.connectors.ssh.schema import SECRETS_SCHEMA, SETTINGS_SCHEMA, Options

__all__ = ["KIND", "LABEL", "SECRETS_SCHEMA", "SETTINGS_SCHEMA", "SIMULATED", "build", "validate"]

LABEL = "Linux hosts over SSH"
SIMULATED = False


def build(settings: Mapping[str, Any], secret: Mapping[str, Any]) -> SshHosts:
    """The secret holds `authority`, the seed of the signing key in hexadecimal. Raises Permanent for bad ones."""
    options = Options.read(settings)
    if not secret.get("authority"):
        raise Permanent("settings", "The key that signs the certificates for hosts is missing.")
    return SshHosts(options, Authority(str(secret["authority"])))


def validate(settings: Mapping[str, Any]) -> None:
    """Raises Permanent for what makes no sense."""
    Options.read(settings)
