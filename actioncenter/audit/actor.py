"""Who did something, as text that outlives the account."""

import time
from dataclasses import dataclass
from typing import Final, Self

from actioncenter.audit.enums import Via

AUTOMATION: Final = "Automation"
SKEW: Final = 60.0
"""Seconds by which the clocks of two servers may differ: a proof from further ahead proves nothing."""


@dataclass(frozen=True, slots=True)
class Actor:
    ref: str
    """`user:12`, `token:3`, `automation`, `system:runner`, `command:ingest`."""
    name: str
    via: Via
    request_id: str = ""
    user_id: int | None = None
    """The person behind it; None for machines."""
    proved_at: float | None = None
    """When the person last gave a password or second factor, in seconds since the epoch."""

    @property
    def is_person(self) -> bool:
        """A signed-in human. A token or a command never counts as one (design §4, votes)."""
        return self.user_id is not None and self.via is Via.SESSION

    def proved_within(self, seconds: float) -> bool:
        """Whether the person has shown who it is that recently. Machines never have."""
        return self.proved_at is not None and -SKEW <= time.time() - self.proved_at <= seconds

    @classmethod
    def automation(cls, request_id: str = "") -> Self:
        """Policy decided by itself."""
        return cls("automation", AUTOMATION, Via.AUTOMATION, request_id)

    @classmethod
    def system(cls, part: str) -> Self:
        """A part of the product acting on its own clock: runner, sweeper, sealer ..."""
        return cls(f"system:{part}", f"System ({part})", Via.SYSTEM)

    @classmethod
    def command(cls, name: str) -> Self:
        """Somebody with a shell on the server."""
        return cls(f"command:{name}", f"Command line ({name})", Via.COMMAND)
