"""How a message is known, in whichever mailboxes its copies lie."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.db import models


def message_key(facts: Mapping[str, Any]) -> str:
    """From what is known of it; empty where no Message-ID is. Of a fixed length, since senders choose that of an ID."""
    named = str(facts.get("internet_message_id") or facts.get("message_id") or "").strip().strip("<>").strip()
    return hashlib.sha256(named.encode(errors="replace")).hexdigest() if named else ""


def key_field() -> "models.CharField[str, str]":
    return models.CharField(max_length=64, blank=True, default="", db_default="")


def key_index(name: str) -> models.Index:
    return models.Index(fields=["message_key"], name=name, condition=~models.Q(message_key=""))
