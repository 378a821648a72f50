"""What runs, by the content of its program and the moment it began, never by a number alone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from typing import Iterator

from actioncenter.connectors.ssh.target.places import Json, Refusal

ROUNDS = 40
PAUSE = 0.05
QUIET = 3
"""So many looks in a row have to find nothing: a parent may be about to start it again."""
_BLOCK = 1 << 20


def hashes(handle: int, copy: int = -1, most: int = -1) -> Json:
    """Of everything that can be read there, from its beginning; written to `copy` too. Raises Refusal above `most` bytes."""
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    os.lseek(handle, 0, os.SEEK_SET)
    size = 0
    while True:
        block = os.read(handle, _BLOCK)
        if not block:
            return {"sha256": sha256.hexdigest(), "sha1": sha1.hexdigest()}
        size += len(block)
        if 0 <= most < size:
            raise Refusal("too_large", f"It has more than {most} bytes.")
        sha256.update(block)
        sha1.update(block)
        while copy >= 0 and block:
            block = block[os.write(copy, block) :]


def matches(found: Json, facts: Json) -> bool:
    """Whether every hash that is known of it is the one found. Raises Refusal where none is known."""
    known = [name for name in ("sha256", "sha1") if facts.get(name)]
    if not known:
        raise Refusal("no_hash", "Without a hash nobody can say that this is the file that was judged.")
    return all(str(facts[name]).lower() == found[name] for name in known)


def pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdecimal():
            yield int(name)


def started(pid: int) -> int:
    """Clock ticks since the machine began; raises OSError when it is gone."""
    return int(_stat(pid)[19])


def parent(pid: int) -> int:
    return int(_stat(pid)[1])


def group(pid: int) -> int:
    return int(_stat(pid)[2])


def _stat(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return fields


def program(pid: int) -> Json:
    """Hashes of what it runs, even where that was deleted; raises OSError when it is gone."""
    handle = os.open(f"/proc/{pid}/exe", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hashes(handle)
    finally:
        os.close(handle)


def running(facts: Json, size: int = -1) -> list[int]:
    """Processes of that very program. Where its size is known for sure, only those of that size are read."""
    found = []
    judged: dict[tuple[int, int], bool] = {}
    for pid in pids():
        with contextlib.suppress(OSError):
            about = os.stat(f"/proc/{pid}/exe")
            if size >= 0 and about.st_size != size:
                continue
            same = (about.st_dev, about.st_ino)
            if same not in judged:
                judged[same] = matches(program(pid), facts)
            if judged[same]:
                started(pid)
                found.append(pid)
    return found


def ours() -> set[int]:
    """This helper and everything that it hangs on, which has to live."""
    found, pid = {1}, os.getpid()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = parent(pid)
    return found


def kill_all(facts: Json, size: int = -1) -> Json:
    """Until none is left for a while; a parent that starts it anew loses because its file is gone by then."""
    killed, parents, quiet = 0, set(), 0
    for _ in range(ROUNDS):
        found = running(facts, size)
        if set(found) & ours():
            raise Refusal("protected", "The connection to this host hangs on it.")
        quiet = 0 if found else quiet + 1
        if quiet == QUIET:
            break
        for pid in found:
            with contextlib.suppress(OSError):
                parents.add(_name(parent(pid)))
                killed += kill(pid, started(pid))
        time.sleep(PAUSE)
    return {"killed": killed, "left": len(running(facts, size)), "parents": sorted(parents)[:10]}


def kill(pid: int, since: int) -> bool:
    """End that process and no other that got its number meanwhile. False when it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if started(pid) != since:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _name(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return f"{file.read().strip()[:40]} ({pid})"
