"""Run an antivirus scan with ClamAV, as a job. What is looked at is chosen here: the scanner is handed files, one a
line, follows nothing, and removes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from typing import IO, Any, Callable, Dict, Iterator, List, Tuple

from actioncenter.connectors.ssh.target import evidence, jobs, journal, paths, processes, vault
from actioncenter.connectors.ssh.target.places import Json, Refusal, forget

SCANNER = "/usr/bin/clamscan"
QUICK = (*evidence.WRITABLE, "/home", "/root", "/etc/cron.d", "/etc/systemd/system")
MOST_TOLD = 100
MOST_COPIED = 256 << 20
"""Bytes of one file that is looked at again."""
MOST_BYTES = 20_000
"""Of what is told of detections; the rest is counted."""
_FOUND = b" FOUND"
_EXITS = (0, 1, 2)
"""Clean, something found, and something that could not be read."""


def why_not() -> str:
    return "" if os.access(SCANNER, os.X_OK) else "ClamAV isn't installed there (clamscan)."


def observe(item: Json, call: Json) -> Json:
    known: Json = journal.known(call["id"]).get(item["key"], {})
    return {"scanned": known.get("outcome") == "succeeded"}


def begin(item: Json, call: Json) -> Json:
    if why_not():
        raise Refusal("no_scanner", why_not())
    if not _places(item):
        raise Refusal("path", "What is to be scanned has to be given as an absolute path.")
    return jobs.begin(item, call, scan)


def _places(item: Json) -> List[str]:
    mode = item["parameters"].get("scan", "quick")
    if mode == "custom":
        path = str(item["parameters"].get("path", ""))
        return [path] if path.startswith("/") and "\0" not in path else []
    return ["/"] if mode == "full" else list(QUICK)


def scan(item: Json, call: Json, progress: jobs.Progress) -> Json:
    made = jobs.product(vault.name_of(call["id"], item["key"]))
    listing, odd, copies = made + ".list", made + ".odd", made + ".again"
    for folder in (odd, copies):
        os.makedirs(folder, 0o700, exist_ok=True)
    try:
        total, renamed = _listed(_files(_places(item)), listing, odd)
        if not total:
            raise Refusal("not_found", "There is nothing to scan.")
        looked, hits = _scanned(listing, total, progress.told)
        found = _looked_at_again([(renamed.get(path, path), signature) for path, signature in hits], copies)
        after: Json = {"scanned": looked, "listed": total, "found": len(found)}
        return {"outcome": "succeeded", "after": {**after, "detections": _told(found)}}
    finally:
        forget(listing)
        shutil.rmtree(odd, ignore_errors=True)
        shutil.rmtree(copies, ignore_errors=True)


def _files(places: List[str]) -> Iterator[str]:
    seen = set()
    for place in places:
        if os.path.isfile(place) and not os.path.islink(place):
            yield place
        yield from evidence.files_below(place)
    for pid in list(processes.pids()):
        # Also what runs and was deleted since; each program once.
        try:
            about = os.stat(f"/proc/{pid}/exe")
        except OSError:
            continue
        if (about.st_dev, about.st_ino) not in seen:
            seen.add((about.st_dev, about.st_ino))
            yield f"/proc/{pid}/exe"


def _listed(files: Iterator[str], listing: str, odd: str) -> Tuple[int, Dict[str, str]]:
    """One a line. A name that would break the line is handed over by a link of our own instead."""
    renamed: Dict[str, str] = {}
    total = 0
    with open(listing, "wb") as out:
        for path in files:
            raw = os.fsencode(path)
            if b"\n" in raw or b"\r" in raw or raw.strip() != raw:
                link = f"{odd}/{len(renamed)}"
                os.symlink(path, link)
                renamed[link] = path
                raw = os.fsencode(link)
            out.write(raw + b"\n")
            total += 1
    return total, renamed


def _scanned(listing: str, total: int, told: Callable[[int, int], None]) -> Tuple[int, List[Tuple[str, str]]]:
    """How many it looked at, and path and signature of what it found. Raises Refusal where it ended early."""
    command = [SCANNER, "--stdout", "--no-summary", "--follow-file-symlinks=1", f"--file-list={listing}"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    ) as process:  # fmt: skip
        stdout: Any = process.stdout
        try:
            looked, hits = _read(stdout, total, told)
            ended = process.wait()
        except BaseException:
            process.kill()
            raise
    if ended not in _EXITS:
        raise Refusal("scanner", f"The scanner ended early ({ended}), after {looked} of {total} files.")
    if not looked:
        raise Refusal("scanner", "The scanner looked at nothing: its signatures may be missing.")
    return looked, hits


def _read(out: IO[bytes], total: int, told: Callable[[int, int], None]) -> Tuple[int, List[Tuple[str, str]]]:
    looked, hits = 0, []
    for line in out:
        name, colon, said = line.rstrip(b"\n").rpartition(b": ")
        if not colon or not line.startswith(b"/"):
            continue  # a warning of the scanner, for one that is gone
        looked += 1
        told(min(looked, total), total)
        if said.endswith(_FOUND):
            hits.append((os.fsdecode(name), said[: -len(_FOUND)].decode("utf-8", "backslashreplace")))
    return min(looked, total), hits


def _looked_at_again(hits: List[Tuple[str, str]], folder: str) -> List[Json]:
    """With hashes only of what is found again in a copy that is ours alone.

    What lies there by now may be another file that somebody put there while we scanned; whatever has these
    hashes is quarantined and ended.
    """
    found: List[Json] = []
    hashes: Dict[str, Tuple[Json, Json]] = {}
    for number, (path, signature) in enumerate(hits):
        each: Json = {"path": path, "signature": signature[:120]}
        found.append(each)
        if number < MOST_TOLD:
            with contextlib.suppress(OSError, Refusal, ValueError), _opened(path) as (handle, where):
                each.update(where)
                hashes[f"{folder}/{number}"] = each, _copied(handle, f"{folder}/{number}")
    for copy in _found_in(list(hashes), folder):
        each, known = hashes[copy]
        each.update(known)
    return found


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Tuple[int, Json]]:
    """A handle to what lies or runs there, and where that is."""
    if path.startswith("/proc/"):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        where: Json = {"path": os.readlink(path), "pid": int(path.split("/")[2])}
    else:
        with paths.folder_of(path) as (folder, name):
            handle = paths.open_file(folder, name)
        where = {}
    try:
        yield handle, where
    finally:
        os.close(handle)


def _copied(handle: int, path: str) -> Json:
    copy = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return processes.hashes(handle, copy, MOST_COPIED)
    finally:
        os.close(copy)


def _found_in(copies: List[str], folder: str) -> List[str]:
    """Those of them that the scanner finds something in."""
    copies = [copy for copy in copies if os.path.exists(copy)]
    if not copies:
        return []
    listing = f"{folder}/list"
    with open(listing, "w", encoding="ascii") as out:
        out.writelines(f"{copy}\n" for copy in copies)
    try:
        _, hits = _scanned(listing, len(copies), lambda done, total: None)
    except Refusal:
        return []
    return [path for path, _ in hits if path in copies]


def _told(found: List[Json]) -> List[Json]:
    told: List[Json] = []
    size = 0
    for each in found[:MOST_TOLD]:
        size += len(json.dumps(each))
        if size > MOST_BYTES:
            break
        told.append(each)
    return told
