"""Who was in a folder before another view was laid over it. The kernel takes such a process past the cover, by its
working folder or what it holds open, and nothing takes that away but its end: so it is told."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Iterator

from actioncenter.connectors.ssh.target import mounts, processes
from actioncenter.connectors.ssh.target.places import Json

MOST_TOLD = 20
LONGEST = 200
LINE = 80
"""Of the short text, which pages show."""
_LINKS = (("cwd", "works in"), ("root", "has as its root"), ("exe", "runs"))


def told(places: list[str]) -> Json:
    """How many processes get past the covers of these places, and the first of them by number and name."""
    found = list(_found(places))
    if not found:
        return {"not_covered": 0}
    # A folder gives more than a file does.
    found.sort(key=lambda each: (each["how"] not in ("works in", "has as its root"), each["pid"]))
    short = ", ".join(f"{each['pid']} {json.dumps(each['name'], ensure_ascii=False)}" for each in found)
    return {
        "not_covered": len(found),
        "processes": short if len(short) <= LINE else short[: LINE - 1] + "…",
        "inside": found[:MOST_TOLD],
    }


def _found(places: list[str]) -> Iterator[Json]:
    """One answer for each process; those with mounts of their own aren't among them."""
    open_ones = {each.number for each in mounts.all_of() if not each.noexec}
    below = tuple(place + "/" for place in places)
    ours = os.getpid()
    for pid in processes.pids():
        with contextlib.suppress(OSError):
            held = next(_held(pid, below, open_ones), None) if pid != ours else None
            if held is not None:
                yield {"pid": pid, "name": _name(pid), "how": held[0], "path": _printable(held[1])[:LONGEST]}


def _held(pid: int, below: tuple[str, ...], open_ones: set[int]) -> Iterator[tuple[str, str]]:
    """How it gets there, and by what. Paths are compared first, because that costs least."""
    home = f"/proc/{pid}"
    for link, how in _LINKS:
        with contextlib.suppress(OSError):
            path = os.readlink(f"{home}/{link}")
            if (path + "/").startswith(below) and _mount_of(f"{home}/{link}") in open_ones:
                yield how, path
    for number in os.listdir(home + "/fd"):
        with contextlib.suppress(OSError):
            path = os.readlink(f"{home}/fd/{number}")
            if (path + "/").startswith(below) and _mount(f"{home}/fdinfo/{number}") in open_ones:
                yield "holds open", path


def _mount_of(link: str) -> int:
    handle = os.open(link, os.O_PATH | os.O_CLOEXEC)
    try:
        return _mount(f"/proc/self/fdinfo/{handle}")
    finally:
        os.close(handle)


def _mount(notes: str) -> int:
    """The kernel's number of the mount through which something was opened."""
    with open(notes, encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("mnt_id:")), -1)


def _name(pid: int) -> str:
    with open(f"/proc/{pid}/comm", "rb") as file:
        return _printable(os.fsdecode(file.read().removesuffix(b"\n")))


def _printable(text: str) -> str:
    """Whoever runs a program chooses its name."""
    shown = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in shown
    )
