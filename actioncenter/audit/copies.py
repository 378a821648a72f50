"""Seals kept outside of the database, in a file that others can take away (docs/adr/0020).

Only a copy shows that the log was emptied, that an older state was put back, or that somebody with all keys
wrote it anew. One JSON object per line, in the order of their numbers; nothing is ever changed in it.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from django.db.models import QuerySet

from actioncenter.audit.models import Seal

AT_ONCE: Final = 200
TAIL: Final = 1 << 18
"""Bytes in which the last line is looked for first; most seals are far smaller."""


@dataclass(frozen=True, slots=True)
class Copy:
    number: int
    digest: str
    text: str
    key: str
    signature: str

    @classmethod
    def of(cls, seal: Seal) -> Self:
        return cls(seal.number, seal.digest, seal.text, seal.key_id, seal.signature)

    @classmethod
    def read(cls, line: str) -> Self:
        """Raises ValueError."""
        try:
            said = json.loads(line)
            number, *texts = (
                said["number"],
                said["digest"],
                said["text"],
                said["key"],
                said["signature"],
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a copy of a seal: {error}") from error
        if type(number) is not int or not all(isinstance(text, str) for text in texts):
            raise ValueError("not a copy of a seal: a field has another type")
        return cls(number, *texts)

    def line(self) -> str:
        said = {name: getattr(self, name) for name in ("number", "digest", "text", "key", "signature")}
        return json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n"


def keep(path: Path) -> int:
    """Write down the seals that the file doesn't have yet; how many that were. Raises OSError, ValueError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        written = 0
        while more := list(Seal.objects.filter(number__gt=_last(file)).order_by("number")[:AT_ONCE]):
            file.write("".join(Copy.of(seal).line() for seal in more).encode())
            file.flush()
            os.fsync(file.fileno())
            written += len(more)
        return written


def missing(path: Path) -> "QuerySet[Seal]":
    """Seals that the file doesn't have yet. Raises OSError, ValueError."""
    if not path.exists():
        return Seal.objects.all()
    with path.open("rb") as file:
        return Seal.objects.filter(number__gt=_last(file))


def read(path: Path) -> Iterator[Copy]:
    """But for a last line that is still being written. Raises OSError, ValueError with the line."""
    with path.open(encoding="utf-8") as file:
        for at, line in enumerate(file, start=1):
            if not line.endswith("\n"):
                return
            try:
                yield Copy.read(line)
            except ValueError as error:
                raise ValueError(f"line {at}: {error}") from error


def _last(file: IO[bytes]) -> int:
    """The number in its last line; half a line, of a host that lost its power, is cut off."""
    size, window = file.seek(0, os.SEEK_END), TAIL
    while True:
        file.seek(max(size - window, 0))
        tail = file.read(window)
        whole = tail.rfind(b"\n") + 1
        begin = tail.rfind(b"\n", 0, max(whole - 1, 0)) + 1
        if begin or window >= size:
            break
        window *= 2
    if whole < len(tail) and file.writable():
        file.truncate(size - len(tail) + whole)
    return Copy.read(tail[begin:whole].decode()).number if whole else 0
