"""Request a sample: the very file that was judged, from its path, or from a process that still runs it."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterator

from actioncenter.connectors.ssh.target import journal, paths, processes, streams
from actioncenter.connectors.ssh.target.places import Json, Refusal


def observe(item: Json, call: Json) -> Json:
    state: Json = {
        "path": str(item["facts"].get("path", "")),
        "present": False,
        "brought": _brought(item, call),
    }
    try:
        with _file(item["facts"]) as handle:
            found, size = processes.hashes(handle), os.fstat(handle).st_size
    except Refusal as refusal:
        if refusal.code not in {"not_found", "hash_mismatch"}:
            raise
        return state
    return {**state, "present": True, "size": size, "sha256": found["sha256"]}


def _brought(item: Json, call: Json) -> bool:
    known: Json = journal.known(call["id"]).get(item["key"], {})
    return known.get("outcome") == "succeeded"


def take(item: Json, call: Json) -> Json:
    """Look at it and say what it is. It is sent by a call of its own, as often as it takes to arrive."""
    with _file(item["facts"]) as handle:
        size = os.fstat(handle).st_size
        if size > int(call["most"]):
            raise Refusal("too_big", f"It has {size} bytes, which is more than is taken.")
        sha256 = processes.hashes(handle)["sha256"]
    journal.acted(call["id"], item["key"], "sample")
    return {"outcome": "succeeded", "after": {"sha256": sha256, "size": size}}


def send(item: Json, told: Json, head: Json) -> None:
    """Only what was looked at before; `told` is what was said of it then."""
    with _file({**item["facts"], "sha256": told["sha256"], "sha1": ""}) as handle:
        if os.fstat(handle).st_size != told["size"]:
            raise Refusal("changed", "It was changed before it was sent.")
        streams.send(handle, head, told)


@contextlib.contextmanager
def _file(facts: Json) -> Iterator[int]:
    """Open, and known to be the right one where a hash is known. Raises Refusal."""
    handle = _found(facts)
    try:
        yield handle
    finally:
        os.close(handle)


def _found(facts: Json) -> int:
    handle = _at_path(facts)
    if handle is not None:
        if _fits(handle, facts):
            return handle
        os.close(handle)
    running = _running(facts)
    if running is not None:
        return running
    if handle is None:
        raise Refusal("not_found", "There is no such file, and nothing runs it.")
    raise Refusal("hash_mismatch", "What lies there now is another file.")


def _fits(handle: int, facts: Json) -> bool:
    known = any(facts.get(name) for name in ("sha256", "sha1"))
    return not known or processes.matches(processes.hashes(handle), facts)


def _at_path(facts: Json) -> int | None:
    path = str(facts.get("path", ""))
    if not path:
        return None
    try:
        with paths.folder_of(path) as (folder, name):
            return paths.open_file(folder, name)
    except FileNotFoundError:
        return None


def _running(facts: Json) -> int | None:
    """What a process runs, also where that was deleted; by content only, never by its number."""
    if not any(facts.get(name) for name in ("sha256", "sha1")):
        return None
    for pid in processes.running(facts):
        with contextlib.suppress(OSError):
            handle = os.open(f"/proc/{pid}/exe", os.O_RDONLY | os.O_CLOEXEC)
            if stat.S_ISREG(os.fstat(handle).st_mode) and processes.matches(processes.hashes(handle), facts):
                return handle
            os.close(handle)
    return None
