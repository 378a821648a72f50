"""The whole of the log: its chains, its seals, the copies of these, and the actions it tells of."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from actioncenter.audit import copies
from actioncenter.audit.copies import Copy
from actioncenter.audit.models import Purge
from actioncenter.audit.purges import PurgeText
from actioncenter.audit.trust import Trust
from actioncenter.audit.verify import Verification
from actioncenter.audit.verify_purges import bad_purges
from actioncenter.audit.verify_redactions import bad_redactions
from actioncenter.audit.verify_seals import BadSeal, SealCheck, compare, is_trusted
from actioncenter.auditor.verification.comparing import differences

CHUNK: Final = 50


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
    """One verification, from the chains over the seals to the copies. Counts up while `wrong` is consumed.

    `beat` is called now and then, and may end it by raising.
    """

    trust: Trust
    against: Sequence[Path]
    beat: Callable[[], None] | None = None
    archives: Path | None = None
    """Folder of the files that purges were exported to; they aren't looked at without it."""
    chains: Verification = field(init=False)
    sealing: SealCheck = field(init=False)
    copies: int = 0
    unproved: int = 0
    absent: list[str] = field(default_factory=list)
    """Archives that aren't in the folder. Somebody may have carried them away, which is no fault."""

    def __post_init__(self) -> None:
        self.chains = Verification(self.trust, beat=self.beat)
        self.sealing = SealCheck(self.trust, beat=self.beat)

    def counts(self) -> dict[str, int]:
        """What was looked at so far."""
        return {
            "events": self.chains.events,
            "streams": self.chains.streams,
            "seals": self.sealing.seals,
            "sealed": self.sealing.sealed,
            "unsealed": self.sealing.pending,
            "copies": self.copies,
            "untrusted_copies": self.unproved,
        }

    def wrong(self) -> Generator[Wrong, None, None]:
        for bad in self.chains.bad_rows():
            said = f"{bad.stream} number {bad.seq} (row {bad.id}): {bad.message}."
            yield Wrong(bad.fault, said, bad.id, {"stream": bad.stream, "seq": bad.seq, "id": bad.id})
        for cut in bad_purges(self.trust):
            message = f"purge {cut.number}: {cut.message}."
            yield Wrong("bad purge", message, cut.event, {"purge": cut.number})
        for blank in bad_redactions(self.trust):
            message = f"redaction {blank.number} of row {blank.event}: {blank.message}."
            yield Wrong("bad redaction", message, blank.event, {"redaction": blank.number})
        for odd in self.sealing.bad_seals():
            yield _of_seal(odd)
        for other in differences(beat=self.beat):
            yield Wrong("changed", other.message, facts={"action": other.action})
        if self.archives is not None:
            yield from self._exported(self.archives)
        for path in self.against:
            yield from self._compared(path)

    def _exported(self, folder: Path) -> Iterator[Wrong]:
        for text in Purge.objects.order_by("number").values_list("text", flat=True).iterator(CHUNK):
            try:
                said = PurgeText.read(text)
                found = sha256_of(folder / said.file)
            except FileNotFoundError:
                self.absent.append(said.file)
            except (OSError, ValueError):
                # What isn't readable was named as a bad purge, or can't be told.
                continue
            else:
                if found != said.sha256:
                    message = f"archive {said.file} isn't what purge {said.number} says."
                    yield Wrong("archive changed", message, facts={"purge": said.number})

    def _compared(self, path: Path) -> Iterator[Wrong]:
        try:
            for odd in compare(self._trusted(path), self.trust):
                yield _of_seal(odd)
        except (OSError, ValueError) as error:
            raise UnreadableCopies(f"{path} can't be read: {error}") from error

    def _trusted(self, path: Path) -> Iterator[Copy]:
        for copy in copies.read(path):
            self.copies += 1
            if is_trusted(copy, self.trust):
                yield copy
            else:
                self.unproved += 1


def sha256_of(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_seal(odd: BadSeal) -> Wrong:
    row = f" (row {odd.event})" if odd.event else ""
    return Wrong(odd.fault, f"seal {odd.number}{row}: {odd.message}.", odd.event, {"seal": odd.number})
