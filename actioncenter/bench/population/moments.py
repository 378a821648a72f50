"""Moments as milliseconds and as the text both databases take; a million of them in a second."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
SPAN: Final = 180 * DAY
"""How far back the made-up history reaches."""


def millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def text(moment: int) -> str:
    """UTC without a zone, as SQLite keeps it and as PostgreSQL reads it in a UTC session."""
    minute, rest = divmod(moment, MINUTE)
    return f"{_minute(minute)}{rest // SECOND:02}.{rest % SECOND:03}"


@lru_cache(maxsize=4096)
def _minute(minutes: int) -> str:
    return f"{datetime.fromtimestamp(minutes * 60, UTC):%Y-%m-%d %H:%M:}"
