"""What the simulator can be told to do wrong, for all or for one device or mailbox."""

import json
import sqlite3
from collections.abc import Iterable
from enum import StrEnum
from typing import Any


class Behaviour(StrEnum):
    SLOW = "slow"
    OFFLINE = "offline"
    FLAKY = "flaky"
    PARTIAL = "partial"
    TIMEOUT_BEFORE_EFFECT = "timeout_before_effect"
    TIMEOUT_AFTER_EFFECT = "timeout_after_effect"
    REFUSE = "refuse"
    CONFLICT = "conflict"
    LIE = "lie"
    THROTTLE = "throttle"
    IMPOSTOR = "impostor"


class Faults:
    """The behaviours in force. An owner's own go before those for all."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self.sql = sql
        self.set: dict[tuple[str, str], Any] = {
            (owner, name): json.loads(value)
            for owner, name, value in sql.execute("SELECT owner, name, value FROM behaviours")
        }

    def value(self, behaviour: Behaviour, owner: str) -> Any:
        """The value set for this owner, else for all; None if it isn't set or set to false."""
        value = self.set.get((owner, behaviour), self.set.get(("", behaviour)))
        return None if value is False else value

    def any(self, behaviour: Behaviour, owners: Iterable[str]) -> bool:
        return any(self.value(behaviour, owner) is not None for owner in owners)

    def seconds(self, owners: Iterable[str]) -> float:
        return max((float(self.value(Behaviour.SLOW, owner) or 0) for owner in owners), default=0.0)

    def spend(self, behaviour: Behaviour, owners: Iterable[str]) -> bool:
        """Whether it happens now; uses up one of its times. Needs a writable scene."""
        for owner in {self._holder(behaviour, owner) for owner in owners}:
            if owner is None:
                continue
            self.sql.execute(
                "UPDATE behaviours SET times = times - 1 WHERE owner = ? AND name = ?", (owner, behaviour)
            )
            self.sql.execute("DELETE FROM behaviours WHERE times <= 0")
            return True
        return False

    def trips(self, owners: Iterable[str]) -> bool:
        """Count this call for every flaky owner; true on each n-th."""
        tripped = False
        for owner in {self._holder(Behaviour.FLAKY, owner) for owner in owners} - {None}:
            self.sql.execute(
                "UPDATE behaviours SET calls = calls + 1 WHERE owner = ? AND name = 'flaky'", (owner,)
            )
            calls, every = self.sql.execute(
                "SELECT calls, value FROM behaviours WHERE owner = ? AND name = 'flaky'", (owner,)
            ).fetchone()
            tripped = tripped or calls % max(1, int(json.loads(every))) == 0
        return tripped

    def _holder(self, behaviour: Behaviour, owner: str) -> str | None:
        """Whose row applies to this owner: its own, the one for all (empty), or none."""
        for candidate in (owner, ""):
            value = self.set.get((candidate, behaviour))
            if value is not None:
                return None if value is False else candidate
        return None


def struck(fraction: float, index: int) -> bool:
    """Whether the target at this place is among the failing fraction: exact, and always the same."""
    # A hair more than the product: 0.29 * 100 is 28.999… in floating point.
    return int((index + 1) * fraction + 1e-9) > int(index * fraction + 1e-9)
