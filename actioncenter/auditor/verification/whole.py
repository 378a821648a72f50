"""The whole of the log: its chains, its seals, the copies of these, and the actions it tells of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actioncenter.audit import copies
from actioncenter.audit.copies import Copy
from actioncenter.audit.verify import Verification
from actioncenter.audit.verify_seals import BadSeal, Keys, SealCheck, compare, is_trusted
from actioncenter.auditor.verification.comparing import differences


class UnreadableCopies(Exception):
    """A file that was given isn't one of copies of seals."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that isn't as it was written."""

    fault: str
    said: str
    event: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.fault}: {self.said}"

    def as_json(self) -> dict[str, Any]:
        return {"fault": self.fault, "message": self.said, "event": self.event, **self.facts}


@dataclass(slots=True)
class Audit:
    """One verification, from the chains over the seals to the copies. Counts up while `wrong` is consumed."""

    keys: Keys
    against: Sequence[Path]
    chains: Verification = field(default_factory=Verification)
    sealing: SealCheck = field(init=False)
    copies: int = 0
    unproved: int = 0

    def __post_init__(self) -> None:
        self.sealing = SealCheck(self.keys)

    def wrong(self) -> Iterator[Wrong]:
        for bad in self.chains.bad_rows():
            said = f"{bad.stream} number {bad.seq} (row {bad.id}): {bad.message}."
            yield Wrong(bad.fault, said, bad.id, {"stream": bad.stream, "seq": bad.seq, "id": bad.id})
        for odd in self.sealing.bad_seals():
            yield _of_seal(odd)
        for other in differences():
            yield Wrong("changed", other.message, facts={"action": other.action})
        for path in self.against:
            yield from self._compared(path)

    def _compared(self, path: Path) -> Iterator[Wrong]:
        try:
            for odd in compare(self._trusted(path), self.keys):
                yield _of_seal(odd)
        except (OSError, ValueError) as error:
            raise UnreadableCopies(f"{path} can't be read: {error}") from error

    def _trusted(self, path: Path) -> Iterator[Copy]:
        for copy in copies.read(path):
            self.copies += 1
            if is_trusted(copy, self.keys):
                yield copy
            else:
                self.unproved += 1


def _of_seal(odd: BadSeal) -> Wrong:
    row = f" (row {odd.event})" if odd.event else ""
    return Wrong(odd.fault, f"seal {odd.number}{row}: {odd.message}.", odd.event, {"seal": odd.number})
