"""What every plan says in the same way."""

import hashlib
import json
from typing import Any

from actioncenter.connectors.base import Request


def digest_of(request: Request, things: list[Any]) -> str:
    """Of what somebody approves: the wish and what it would touch."""
    body = json.dumps([request.type, dict(request.parameters), things], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
