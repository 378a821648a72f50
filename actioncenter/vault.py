"""Encryption at rest of what the product keeps for later: secrets, restore data, artefacts."""

import json
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def _keys() -> MultiFernet:
    keys = [settings.FIELD_KEY, *getattr(settings, "FIELD_KEY_FALLBACKS", [])]
    return MultiFernet([Fernet(key) for key in keys])


def seal(value: Any) -> bytes:
    """Encrypt anything JSON can carry."""
    return seal_bytes(json.dumps(value).encode())


def unseal(token: bytes | memoryview) -> Any:
    """Raises cryptography.fernet.InvalidToken when the key is another or the text was changed."""
    return json.loads(unseal_bytes(token))


def seal_bytes(content: bytes) -> bytes:
    return _keys().encrypt(content)


def unseal_bytes(token: bytes | memoryview) -> bytes:
    return _keys().decrypt(bytes(token))
