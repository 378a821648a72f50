"""Stop and quarantine a file, and release it. The file goes first and its processes after it: a parent that
starts it anew would win otherwise."""

from __future__ import annotations

import contextlib
import os

from actioncenter.connectors.ssh.target import journal, packages, paths, processes, vault
from actioncenter.connectors.ssh.target.places import Json, Refusal, sync


def observe(item: Json, call: Json) -> Json:
    """What lies at the path now; nothing volatile, so that two looks at the same file are equal."""
    path = str(item["facts"].get("path", ""))
    state: Json = {"path": path, "present": False}
    try:
        with paths.folder_of(path) as (folder, name):
            handle = paths.open_file(folder, name)
    except FileNotFoundError:
        state["running"] = len(processes.running(item["facts"]))
        return state
    try:
        traits = vault.traits_of(handle)
        found = processes.hashes(handle)
    finally:
        os.close(handle)
    told = {
        name: traits[name] for name in ("size", "uid", "gid", "mode", "mtime", "attributes", "flags", "links")
    }
    facts = {**item["facts"], **found}
    return {
        **state,
        **found,
        **told,
        "present": True,
        "running": len(processes.running(facts, traits["size"])),
    }


def quarantine(item: Json, call: Json) -> Json:
    """Going on where a call for the same id ended is part of it: the entry in the vault says how far it came."""
    name = vault.name_of(call["id"], item["key"])
    entry = vault.entry(name)
    if entry is None:
        entry = _take(item, call, name)
    if entry is None:
        return _absent(item, call)
    if not entry["moved"]:
        try:
            _remove(entry)
        except Refusal:
            vault.drop(name)
            raise
        vault.record(name, {**entry, "moved": True})
        journal.acted(call["id"], item["key"], "quarantined")
    stopped = processes.kill_all({"sha256": entry["sha256"]}, entry["size"])
    told = {**stopped, "sha256": entry["sha256"], "more_links": entry["links"] - 1}
    before = {"vault": name, "path": entry["path"], "sha256": entry["sha256"]}
    if stopped["left"]:
        error = "still_running: The file is in quarantine, and its program goes on being started."
        return {"outcome": "failed", "before": before, "after": told, "error": error}
    return {"outcome": "succeeded", "before": before, "after": told}


def _take(item: Json, call: Json, name: str) -> Json | None:
    """A copy in the vault and a record of it; None where there is no such file. Nothing is touched yet."""
    path = str(item["facts"].get("path", ""))
    try:
        with paths.folder_of(path) as (folder, last):
            handle = paths.open_file(folder, last)
    except FileNotFoundError:
        return None
    try:
        _may(item, handle, path)
        traits = vault.take_in(handle, name)
    finally:
        os.close(handle)
    if not processes.matches(traits, item["facts"]):
        vault.drop_content(name)
        raise Refusal("hash_mismatch", "What lies there now is another file.")
    entry = {**traits, "path": path, "request": call["id"], "released": "", "moved": False}
    vault.record(name, entry)
    return entry


def _may(item: Json, handle: int, path: str) -> None:
    """Raises Refusal for what isn't the judged file, and for what the host itself lives on."""
    found = processes.hashes(handle)
    if not processes.matches(found, item["facts"]):
        raise Refusal("hash_mismatch", "What lies there now is another file.")
    if set(processes.running(found, os.fstat(handle).st_size)) & processes.ours():
        raise Refusal("protected", "The connection to this host hangs on it.")
    if item["parameters"].get("package_files") != "take" and packages.has_unchanged(handle, path):
        raise Refusal("package_file", "It is an unchanged file of an installed package.")


def _remove(entry: Json) -> None:
    """Take the very file out of its folder, and no other that was put in its place; nothing if it is gone."""
    draft = ".actioncenter-" + vault.name_of(entry["request"], entry["path"])
    with contextlib.suppress(FileNotFoundError), paths.folder_of(entry["path"]) as (folder, name):
        _finish_off(folder, draft, entry)
        handle = paths.open_file(folder, name)
        try:
            if not _same(os.fstat(handle), entry):
                raise Refusal("raced", "Another file was put in its place meanwhile.")
            vault.unlock(handle)
        finally:
            os.close(handle)
        # Out of everybody's sight first: then nobody can swap what is about to be deleted.
        os.rename(name, draft, src_dir_fd=folder, dst_dir_fd=folder)
        if not _finish_off(folder, draft, entry):
            os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            os.unlink(draft, dir_fd=folder)
            raise Refusal("raced", "Another file was put in its place meanwhile.")


def _finish_off(folder: int, draft: str, entry: Json) -> bool:
    """Delete what was moved aside, if it is the very file; a call that ended early may have left it."""
    try:
        if not _same(os.stat(draft, dir_fd=folder, follow_symlinks=False), entry):
            return False
    except FileNotFoundError:
        return False
    os.unlink(draft, dir_fd=folder)
    sync(f"/proc/self/fd/{folder}/.")
    return True


def _same(found: os.stat_result, entry: Json) -> bool:
    return (found.st_dev, found.st_ino) == (entry["device"], entry["inode"])


def _absent(item: Json, call: Json) -> Json:
    """No file, but it may run all the same, deleted or from a copy elsewhere."""
    facts = item["facts"]
    if any(_holds(each, facts) for each in vault.entries()):
        return {"outcome": "already", "after": {"present": False}}
    if not facts.get("sha256") and not facts.get("sha1"):
        return {"outcome": "gone", "after": {"present": False}}
    stopped = processes.kill_all(facts)
    if stopped["left"]:
        raise Refusal("still_running", "There is no such file, and its program goes on being started.")
    if stopped["killed"]:
        journal.acted(call["id"], item["key"], "stopped")
    return {"outcome": "succeeded" if stopped["killed"] else "gone", "after": {**stopped, "present": False}}


def _holds(entry: Json, facts: Json) -> bool:
    return entry["path"] == facts.get("path") and not entry["released"] and processes.matches(entry, facts)


def release(item: Json, call: Json) -> Json:
    """Exactly as it was, and never over something that lies there now."""
    name = str(item["before"].get("vault", ""))
    entry = vault.entry(name)
    if entry is None:
        raise Refusal("no_record", "This host has no such file in quarantine.")
    try:
        with paths.folder_of(entry["path"]) as (folder, last):
            if not _taken(folder, last, entry):
                # Written down first: a call that ends early finds its own work and no stranger's.
                vault.record(name, {**entry, "releasing": call["id"]})
                _put_back(folder, last, name, entry)
                journal.acted(call["id"], item["key"], "released from quarantine")
            elif call["id"] in (entry["released"], entry.get("releasing")):
                pass  # a call for this very request ended early
            elif entry["released"]:
                return {"outcome": "already", "after": {"present": True}}
            else:
                raise Refusal("conflict", "Something else lies at its place now.")
            _settle(folder, last, name, entry)
    except FileNotFoundError:
        raise Refusal("no_folder", "The folder it came from is gone.") from None
    vault.record(name, {**entry, "released": call["id"]})
    vault.drop_content(name)
    return {"outcome": "succeeded", "after": {"present": True, "sha256": entry["sha256"]}}


def _taken(folder: int, last: str, entry: Json) -> bool:
    """Whether anything lies there. Raises Refusal when that isn't what was released, or is being released."""
    try:
        handle = paths.open_file(folder, last)
    except FileNotFoundError:
        if entry["released"]:
            raise Refusal("conflict", "It was released before, and somebody took it away again.") from None
        return False
    try:
        ours = entry["released"] or entry.get("releasing")
        if ours and not processes.matches(processes.hashes(handle), {"sha256": entry["sha256"]}):
            raise Refusal("conflict", "Something else lies at its place now.")
    finally:
        os.close(handle)
    return True


def _put_back(folder: int, last: str, name: str, entry: Json) -> None:
    draft = ".actioncenter-" + name
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    # Our own and nobody else's: one that somebody holds open would be theirs to write to.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(draft, flags, 0o600, dir_fd=folder)
    try:
        vault.give_back(name, handle, entry)
        # A link never replaces what is there.
        os.link(draft, last, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except (OSError, Refusal) as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        if isinstance(error, FileExistsError):
            raise Refusal("conflict", "Something else lies at its place now.") from None
        raise
    finally:
        os.close(handle)


def _settle(folder: int, last: str, name: str, entry: Json) -> None:
    """What is left to do once it lies in its place; it may have been done before."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(".actioncenter-" + name, dir_fd=folder)
    handle = paths.open_file(folder, last)
    try:
        vault.lock(handle, entry)
    finally:
        os.close(handle)
    sync(f"/proc/self/fd/{folder}/.")
