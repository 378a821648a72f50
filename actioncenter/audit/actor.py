"""Who did something, as text that outlives the account."""

from dataclasses import dataclass
from typing import Self

from actioncenter.audit.enums import Via


@dataclass(frozen=True, slots=True)
class Actor:
    ref: str
    """`user:12`, `token:3`, `automation`, `system:runner`, `command:ingest`."""
    name: str
    via: Via
    request_id: str = ""
    user_id: int | None = None
    """The person behind it; None for machines."""

    @property
    def is_person(self) -> bool:
        """A signed-in human. A token or a command never counts as one (design §4, votes)."""
        return self.user_id is not None and self.via is Via.SESSION

    @classmethod
    def automation(cls, request_id: str = "") -> Self:
        """Policy decided by itself."""
        return cls("automation", "Automation", Via.AUTOMATION, request_id)

    @classmethod
    def system(cls, part: str) -> Self:
        """A part of the product acting on its own clock: runner, sweeper, sealer ..."""
        return cls(f"system:{part}", f"System ({part})", Via.SYSTEM)

    @classmethod
    def command(cls, name: str) -> Self:
        """Somebody with a shell on the server."""
        return cls(f"command:{name}", f"Command line ({name})", Via.COMMAND)
