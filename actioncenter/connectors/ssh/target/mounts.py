"""The mounts of this host as the kernel tells them, and the calls that change one flag of one of them."""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any, NamedTuple

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
"""The same number on every architecture."""
_CLONE, _RECURSIVE, _CLOEXEC, _EMPTY_PATH = 1, 0x8000, 0o2000000, 0x1000
_FROM_EMPTY_PATH = 4
_HERE = -100
_NOEXEC = 8
_PRIVATE = 1 << 18
_DETACH = 2
_NEVER = {"proc", "sysfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf", "pstore",
          "mqueue", "hugetlbfs", "devtmpfs", "autofs", "binfmt_misc", "configfs", "fusectl", "nsfs"}  # fmt: skip
_libc = ctypes.CDLL(None, use_errno=True)


class Mount(NamedTuple):
    """`number` is the kernel's own; it is given to another one only after this one is gone."""

    number: int
    place: str
    kind: str
    noexec: bool


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "namespace")]


def all_of() -> list[Mount]:
    """In the order in which they cover each other."""
    with open("/proc/self/mountinfo", "rb") as file:
        return [_read(line.split(b" ")) for line in file]


def _read(words: list[bytes]) -> Mount:
    place = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), words[4])
    kind = words[words.index(b"-") + 1].decode("ascii", "replace")
    return Mount(int(words[0]), os.fsdecode(place), kind, b"noexec" in words[5].split(b","))


def top(place: str) -> Mount | None:
    """What is mounted right there, and seen."""
    return next((each for each in reversed(all_of()) if each.place == place), None)


def below(place: str) -> list[int]:
    """Numbers of what is mounted somewhere in it."""
    return sorted(each.number for each in all_of() if each.place.startswith(place + "/"))


def holds_programs(mount: Mount) -> bool:
    return mount.kind not in _NEVER


def cover(place: str) -> None:
    """A second view of that folder and all below it, from which nothing starts, over the first. Raises OSError.

    It is made aside and put there in one go, so at no moment does it lie there without the flag, and what is done
    to it is done to nothing else.
    """
    tree = _call(_OPEN_TREE, _HERE, os.fsencode(place), _CLONE | _RECURSIVE | _CLOEXEC)
    try:
        _change(tree, b"", _EMPTY_PATH | _RECURSIVE, _Attributes(_NOEXEC, 0, _PRIVATE, 0))
        _call(_MOVE_MOUNT, tree, b"", _HERE, os.fsencode(place), _FROM_EMPTY_PATH)
    finally:
        os.close(tree)


def uncover(place: str) -> None:
    if _libc.umount2(os.fsencode(place), _DETACH):
        raise OSError(ctypes.get_errno(), place)


def forbid(place: str) -> None:
    """On the very mount, so that also who stands in it already can start nothing."""
    _change(_HERE, os.fsencode(place), 0, _Attributes(_NOEXEC, 0, 0, 0))


def permit(place: str) -> None:
    _change(_HERE, os.fsencode(place), 0, _Attributes(0, _NOEXEC, 0, 0))


def why_not() -> str:
    """Asked for a change of nothing; a kernel without the call knows no such number."""
    try:
        _change(_HERE, b"/proc", 0, _Attributes(0, 0, 0, 0))
    except OSError:
        return "Its kernel can't change the flags of one mount alone (Linux 5.12 or later)."
    return ""


def _change(folder: int, path: bytes, flags: int, wanted: _Attributes) -> None:
    _call(_MOUNT_SETATTR, folder, path, flags, ctypes.byref(wanted), ctypes.sizeof(wanted))


def _call(*words: Any) -> int:
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in words]
    done = int(_libc.syscall(*given))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done
