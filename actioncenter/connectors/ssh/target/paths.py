"""From a path to an open folder and a name in it, without being led elsewhere on the way.

Every component is opened through its parent and no link is followed, save those that root alone could have
made (`/bin` on most systems). What is then read or moved is reached through the open folder, never by path.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterator

from actioncenter.connectors.ssh.target.places import Refusal

MOST_LINKS = 8
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def folder_of(path: str) -> Iterator[tuple[int, str]]:
    """The open parent folder and the last name. Raises Refusal, or FileNotFoundError where there is none."""
    if not path.startswith("/") or "\0" in path or path.endswith("/"):
        raise Refusal("path", "That is no absolute path of a file.")
    if "\N{REPLACEMENT CHARACTER}" in path:
        raise Refusal("path", "Its name was not readable when it was reported, so it can't be found by it.")
    names = [name for name in path.split("/") if name not in {"", "."}]
    if ".." in names:
        raise Refusal("path", "A path with .. in it isn't followed.")
    handle = _walk(names[:-1])
    try:
        yield handle, names[-1]
    finally:
        os.close(handle)


def _walk(names: list[str]) -> int:
    links = 0
    todo = list(names)
    handle = os.open("/", _LOOK | os.O_DIRECTORY)
    while todo:
        name = todo.pop(0)
        try:
            child = os.open(name, _LOOK, dir_fd=handle)
        except OSError:
            os.close(handle)
            raise
        kind = os.fstat(child).st_mode
        if stat.S_ISLNK(kind):
            links += 1
            try:
                where = _trusted_link(handle, child, name, links)
            finally:
                os.close(child)
                os.close(handle)
            parts = [part for part in where.split("/") if part not in {"", "."}]
            todo = [*parts, *todo]
            handle = os.open("/", _LOOK | os.O_DIRECTORY)
            continue
        os.close(handle)
        if not stat.S_ISDIR(kind):
            os.close(child)
            raise FileNotFoundError(name)
        handle = child
    return handle


def _trusted_link(parent: int, link: int, name: str, links: int) -> str:
    """Where it leads, from the root on. Raises Refusal for one that somebody else may have put there."""
    where = os.readlink(name, dir_fd=parent)
    above = os.readlink(f"/proc/self/fd/{parent}")
    home = os.fstat(parent)
    by_root = os.fstat(link).st_uid == 0 and home.st_uid == 0 and not home.st_mode & 0o022
    if not by_root or links > MOST_LINKS or ".." in where.split("/"):
        raise Refusal("symlink", "The path leads over a link that isn't followed.")
    return where if where.startswith("/") else above.rstrip("/") + "/" + where


def open_file(folder: int, name: str) -> int:
    """The file itself, to read. Raises Refusal for anything but a regular file, FileNotFoundError for none."""
    # Without a trace of having been read: when it was last read belongs to what is restored.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOATIME
    kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(kind):
        raise Refusal("symlink", "There is a link at the path, no file.")
    if not stat.S_ISREG(kind):
        raise Refusal("not_a_file", "What is at the path is no regular file.")
    handle = os.open(name, flags, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Refusal("not_a_file", "What is at the path is no regular file.")
    return handle
