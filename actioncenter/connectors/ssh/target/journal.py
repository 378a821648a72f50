"""What became of each request on this host. It is what makes sending the same id again safe."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import Any

from actioncenter.connectors.ssh.target.places import ACTED, JOURNAL, Json, Refusal, forget, read, write

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEPT = 180 * 86400


def _path(request: str) -> str:
    if not _ID.fullmatch(request):
        raise Refusal("request", "That is no request id.")
    return f"{JOURNAL}/{request}.json"


def known(request: str) -> Json:
    """Results by target key."""
    return dict((read(_path(request)) or {}).get("results", {}))


def keep(request: str, key: str, result: Json) -> None:
    page = read(_path(request)) or {"results": {}}
    page["results"][key] = result
    write(_path(request), page)


def mark(request: str, word: str = "") -> Any:
    """Set it if one is given; returns the last one."""
    page = read(_path(request)) or {"results": {}}
    if word:
        page["mark"] = word
        write(_path(request), page)
    return page.get("mark", "")


def acted(request: str, key: str, what: str) -> None:
    """One line for each real effect, for whoever looks at the host itself."""
    line = f"{int(time.time())}\t{request}\t{key}\t{what}\n"
    handle = os.open(ACTED, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def tidy() -> None:
    """What is older than any action is asked about."""
    oldest = time.time() - KEPT
    with contextlib.suppress(OSError), os.scandir(JOURNAL) as entries:
        for entry in entries:
            if entry.stat().st_mtime < oldest:
                forget(entry.path)
