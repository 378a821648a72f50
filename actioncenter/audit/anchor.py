"""What this host remembers of the database, in a file outside of it (docs/adr/0015).

A database that was restored from a backup knows nothing of what was done since. The file does: how far
the numbers went, the newest event with its chain value, and the last requests that were sent. It only
ever grows; several processes of a host share it.
"""

import fcntl
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

SENT_KEPT: Final = 64
"""More than can be on the wire at once: ids are taken before commit, so the highest says too little."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """`numbers` maps a table to the highest number it gave, `sent` an attempt to its key.

    `epoch` is 0 as long as it was compared with no database.
    """

    epoch: int = 0
    event: int = 0
    chain: str = ""
    """Of that event: another one may have its number after a restore."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError."""
        try:
            said = json.loads(text)
            return cls(
                epoch=int(said["epoch"]),
                event=int(said["event"]),
                chain=str(said["chain"]),
                numbers={str(table): int(number) for table, number in said["numbers"].items()},
                sent={int(pk): str(key) for pk, key in said["sent"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an anchor: {error}") from error

    def written(self) -> dict[str, Any]:
        return asdict(self)

    def with_numbers(self, numbers: Mapping[str, int]) -> "Anchor":
        return replace(self, numbers=highest(self.numbers, numbers))

    def with_event(self, event: int, chain: str) -> "Anchor":
        return replace(self, event=event, chain=chain) if event > self.event else self

    def with_sent(self, sent: Mapping[int, str]) -> "Anchor":
        last = sorted({**self.sent, **sent}.items())[-SENT_KEPT:]
        return replace(self, sent=dict(last))


def highest(*several: Mapping[str, int]) -> dict[str, int]:
    """Of each table the highest number in any of them."""
    found: dict[str, int] = {}
    for numbers in several:
        for table, number in numbers.items():
            found[table] = max(found.get(table, 0), number)
    return found


class AnchorFile:
    """The file of one installation. Changes are made under a lock and never leave half a file."""

    def __init__(self, folder: Path, installation: str) -> None:
        self.path = folder / f"{installation}.json"
        self._to_cover: dict[int, str] = {}
        self._covering = threading.Lock()
        self._telling = threading.Lock()

    def read(self) -> Anchor | None:
        """None where this host never worked with the installation. Raises OSError, ValueError."""
        try:
            return Anchor.read(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def change(self, make: Callable[[Anchor], Anchor], *, durable: bool = True) -> None:
        """Write what `make` makes of it. `durable` outlasts a power cut. Raises OSError, ValueError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.read()
            after = make(before or Anchor())
            if after != before:
                self._write(json.dumps(after.written()), durable=durable)

    def cover(self, attempt: int, key: str) -> None:
        """Before anything is sent under this key. What waits meanwhile is written with it. As `change`."""
        with self._telling:
            self._to_cover[attempt] = key
        with self._covering:
            with self._telling:
                batch = dict(self._to_cover)
            if attempt not in batch:
                return
            self.change(lambda anchor: anchor.with_sent(batch))
            with self._telling:
                for pk in batch:
                    self._to_cover.pop(pk, None)

    def _write(self, text: str, *, durable: bool) -> None:
        draft = self.path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        draft.replace(self.path)
        if durable:
            _sync_folder(self.path.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
