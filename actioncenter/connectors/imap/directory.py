"""The file of addresses. Whoever may change settings names a file in one folder and no other of this host, and nothing of
what is in it is told but addresses."""

import os
import re
import stat
from dataclasses import dataclass
from typing import Final

from actioncenter.connectors.base import Permanent
from actioncenter.connectors.imap.schema import Settings

MOST_BYTES: Final = 16 << 20
LONGEST: Final = 254
TOLD: Final = 10
"""Line numbers."""
NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_ADDRESS: Final = re.compile(r'[^\s@:;,/<>()\[\]\\"\x00-\x1f\x7f]+@[^\s@:;,/<>()\[\]\\"\x00-\x1f\x7f]+')
_MARK: Final = b"\xef\xbb\xbf"
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Directory:
    addresses: tuple[str, ...]
    odd: tuple[int, ...]
    """Numbers of lines that hold something else."""

    def gaps(self) -> list[str]:
        """What a search that goes by it didn't look at."""
        if not self.odd:
            return []
        lines = ", ".join(map(str, self.odd[:TOLD]))
        more = f" and {len(self.odd) - TOLD} more" if len(self.odd) > TOLD else ""
        return [f"In the file of addresses no address is in line {lines}{more}."]


def read(settings: Settings) -> Directory:
    """Raises Permanent."""
    if not settings.directory:
        raise Permanent("settings", "The mail connector knows no mailboxes: it needs a file of addresses.")
    found, odd = set(), []
    for number, line in enumerate(_content(settings).removeprefix(_MARK).split(b"\n"), start=1):
        text = line.decode("utf-8", "replace").strip().lower()
        if _ADDRESS.fullmatch(text) and len(text) <= LONGEST and "\ufffd" not in text:
            found.add(text)
        elif text:
            odd.append(number)
    return Directory(tuple(sorted(found)), tuple(odd))


def _content(settings: Settings) -> bytes:
    if not NAME.fullmatch(settings.directory) or not settings.directories:
        raise Permanent(
            "settings", "The file of addresses has to be named alone: it lies in the folder “directories”."
        )
    try:
        folder = os.open(settings.directories, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            handle = os.open(settings.directory, _FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Permanent("settings", "The file of addresses can't be read.") from error
    try:
        about = os.fstat(handle)
        # Another name of a file is a way out of the folder as well.
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
            raise Permanent("settings", "The file of addresses is no file of its own in its folder.")
        with open(handle, "rb", closefd=False) as file:
            raw = file.read(MOST_BYTES + 1)
    finally:
        os.close(handle)
    if len(raw) > MOST_BYTES:
        raise Permanent("settings", f"The file of addresses has more than {MOST_BYTES >> 20} MB.")
    return raw
