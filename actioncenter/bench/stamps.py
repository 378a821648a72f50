"""When something happened in whichever process, by the one clock that all processes share."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from django.conf import settings

PATIENCE: Final = 120.0
"""Seconds until what is waited for will never come."""


class Stamp(NamedTuple):
    what: str
    key: str
    at: float
    """Seconds."""


def path() -> Path:
    return Path(settings.DATA_DIR) / "stamps"


def put(what: str, key: object) -> None:
    """Whole lines, also from many processes: the file is opened for appending."""
    line = f"{what} {key} {time.monotonic_ns()}\n"
    out = os.open(path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(out, line.encode())
    finally:
        os.close(out)


def forget() -> None:
    path().unlink(missing_ok=True)


def read() -> list[Stamp]:
    if not path().exists():
        return []
    lines = [line.split() for line in path().read_text().splitlines()]
    return [Stamp(what, key, int(at) / 1e9) for what, key, at in lines]


def wait_for(enough: Callable[[list[Stamp]], bool], *, every: float = 0.01) -> list[Stamp]:
    """The stamps once they are enough. Raises RuntimeError when no more come."""
    count, over = 0, time.monotonic() + PATIENCE
    while not enough(found := read()):
        if len(found) != count:
            count, over = len(found), time.monotonic() + PATIENCE
        if time.monotonic() > over:
            raise RuntimeError(f"Nothing happened any more after {count} stamps.")
        time.sleep(every)
    return found
