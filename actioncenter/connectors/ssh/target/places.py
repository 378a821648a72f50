"""Where the helper keeps things on the host, and how it writes them so that a crash leaves the old or the new."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import Any, Dict, Iterator

HOME = "/var/lib/actioncenter"
JOURNAL = HOME + "/journal"
VAULT = HOME + "/vault"
JOBS = HOME + "/jobs"
VAULT_KEY = HOME + "/vault.key"
KEPT = HOME + "/kept"
ACTED = HOME + "/acted.log"
ISOLATION = HOME + "/isolation.json"
RESTRICTION = HOME + "/restriction.json"
CONTAINED = HOME + "/contained.json"
RUN = "/run/actioncenter"

Json = Dict[str, Any]


class Refusal(Exception):
    """Nothing was changed; `code` and the text go back to the controller."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def prepare() -> None:
    for folder in (HOME, JOURNAL, VAULT, JOBS, KEPT, RUN):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(folder, 0o700)


def read(path: str) -> Any:
    """What `write` wrote there; None if nothing did."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def write(path: str, content: Any) -> None:
    draft = path + ".draft"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, path)
    sync(os.path.dirname(path))


def sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One at a time on this host. Who waits too long is ended by the alarm."""
    with open(RUN + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
