"""Small files and links of the system that were taken away or replaced, so that undoing restores them exactly.

A change names paths with what lay there and what is to lie there. It is written down before anything is touched,
and carried out again as often as one likes: what is as wanted is left, and what is neither of the two is somebody else's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
from typing import Any, List, Mapping

from actioncenter.connectors.ssh.target import journal, vault
from actioncenter.connectors.ssh.target.places import KEPT, Json, Refusal, read, sync, write

MOST_BYTES = 1 << 20
Entry = Any
"""What lies at a path, as a dict; None is nothing."""
Changes = Mapping[str, List[Entry]]
"""Path to what it was and what it becomes."""


def look(path: str) -> Entry:
    """What lies there. Raises Refusal for what is neither a link nor a small file."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return {"link": os.readlink(path), "uid": found.st_uid, "gid": found.st_gid}
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        raise Refusal("not_a_file", "What lies at its place is no file that could be kept.")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOATIME)
    try:
        content = os.read(handle, MOST_BYTES + 1)
        return {**vault.traits_of(handle), "content": base64.b64encode(content).decode()}
    finally:
        os.close(handle)


def content(entry: Entry) -> bytes:
    return base64.b64decode((entry or {}).get("content", ""))


def digest(entry: Entry) -> str:
    return hashlib.sha256(content(entry)).hexdigest() if entry else ""


def link(target: str) -> Json:
    return {"link": target, "uid": 0, "gid": 0}


def text(content: bytes, like: Entry = None) -> Json:
    """A file with that content, otherwise like the other one, or root's."""
    traits = like or {"uid": 0, "gid": 0, "mode": 0o644, "attributes": {}, "flags": 0}
    # Of now, because by its time a daemon sees that it was changed.
    return {**traits, "atime": None, "mtime": None, "content": base64.b64encode(content).decode()}


def same(one: Entry, other: Entry) -> bool:
    """Whether nobody could tell them apart by what they say and who may change them."""
    if one is None or other is None:
        return one is other
    return all(one.get(name) == other.get(name) for name in ("link", "content", "uid", "gid", "mode"))


def carry_out(changes: Changes, back: bool = False) -> None:
    """Raises Refusal before anything is touched where something else lies there by now."""
    steps = {path: (new, old) if back else (old, new) for path, (old, new) in changes.items()}
    now = {path: look(path) for path in steps}
    for path, (before, after) in steps.items():
        if not same(now[path], before) and not same(now[path], after):
            raise Refusal("conflict", "Somebody else changed it since, and it is left as it is.")
    for path, (_, after) in steps.items():
        if not same(now[path], after):
            put(path, after)


def is_so(changes: Changes, back: bool = False) -> bool:
    return all(same(look(path), pair[0 if back else 1]) for path, pair in changes.items())


def put(path: str, entry: Entry) -> None:
    """Whole or not at all, over whatever lies there."""
    folder = os.path.dirname(path)
    if entry is None:
        _unlock(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        sync(folder)
        return
    # None of the programs that read these folders takes a name that begins with a dot.
    draft = folder + "/.actioncenter-" + os.path.basename(path)[:200]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    if "link" in entry:
        os.symlink(entry["link"], draft)
        os.lchown(draft, entry["uid"], entry["gid"])
    else:
        _write(draft, entry)
    _unlock(path)
    os.rename(draft, path)
    sync(folder)
    if entry.get("flags"):
        _with(path, lambda handle: vault.lock(handle, entry))


def _write(draft: str, entry: Json) -> None:
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, content(entry))
        os.fchown(handle, entry["uid"], entry["gid"])
        os.fchmod(handle, entry["mode"])
        for name, value in entry["attributes"].items():
            os.setxattr(handle, name, bytes.fromhex(value))
        if entry["mtime"] is not None:
            os.utime(handle, ns=(entry["atime"], entry["mtime"]))
        os.fsync(handle)
    finally:
        os.close(handle)


def _unlock(path: str) -> None:
    """Something may lie there that even root couldn't move."""
    if os.path.isfile(path) and not os.path.islink(path):
        _with(path, vault.unlock)


def _with(path: str, do: Any) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        do(handle)
    finally:
        os.close(handle)


# Records of what a request changed


def name_of(item: Json, call: Json) -> str:
    return vault.name_of(call["id"], item["key"])


def entry(name: str) -> Any:
    """What is written of it; None if nothing is. Raises Refusal for a name that is none of ours."""
    if len(name) != 32 or not name.isalnum():
        raise Refusal("no_record", "Without a record of how it was there is nothing to restore.")
    return read(f"{KEPT}/{name}.json")


def record(name: str, what: Json) -> None:
    write(f"{KEPT}/{name}.json", what)


def entries() -> list[Json]:
    found = [read(f"{KEPT}/{each}") for each in os.listdir(KEPT) if each.endswith(".json")]
    return [each for each in found if each]


def recorded(item: Json) -> tuple[str, Json]:
    """Of the action that is undone."""
    name = str(item["before"].get("kept", ""))
    found = entry(name)
    if found is None:
        raise Refusal("no_record", "This host keeps no record of how it was.")
    return name, found


def done(item: Json, call: Json, known: Json, deed: str) -> None:
    """Written down once, before the log says so."""
    if not known["done"]:
        record(name_of(item, call), {**known, "done": True})
        journal.acted(call["id"], item["key"], deed)


def undoing(name: str, known: Json, call: Json) -> bool:
    """Write down that this request undoes it. False where it is as it was already."""
    if known.get("undoing") != call["id"] and is_so(known["changes"], back=True):
        return False
    for path, (old, new) in known["changes"].items():
        now = look(path)
        ours = same(now, new) or (known.get("undoing") == call["id"] and same(now, old))
        if not ours:
            raise Refusal("conflict", "Somebody else changed it since, and it is left as it is.")
    record(name, {**known, "undoing": call["id"]})
    return True


def undone(name: str, known: Json, item: Json, call: Json, deed: str) -> None:
    if known.get("undone") != call["id"]:
        record(name, {**known, "undoing": call["id"], "undone": call["id"]})
        journal.acted(call["id"], item["key"], deed)
