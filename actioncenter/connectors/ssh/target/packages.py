"""Which files are unchanged parts of an installed package: Debian's lists, and what rpm says where it is there."""

from __future__ import annotations

import glob
import hashlib
import os
import subprocess
from typing import Iterator

from actioncenter.connectors.ssh.target.places import Refusal

LISTS = "/var/lib/dpkg/info/*.md5sums"
RPM = "/usr/bin/rpm"
SECONDS = 20
_FORMAT = "[%{FILEDIGESTS} %{FILENAMES}\n]"
_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
"""By the length of what they give: a package is as old as its digests."""


def has_unchanged(handle: int, path: str) -> bool:
    """Whether a package put exactly this there. Raises Refusal where its database can't be asked."""
    known = {*_of_debian(path), *_of_rpm(path)}
    algorithms = {_ALGORITHMS[len(digest)] for digest in known if len(digest) in _ALGORITHMS}
    return any(_digest(handle, name) in known for name in sorted(algorithms))


def _names(path: str) -> list[str]:
    """Packages may name it by either path where /bin is a link to /usr/bin."""
    short = path.lstrip("/")
    short = short[len("usr/") :] if short.startswith("usr/") else short
    return [short, "usr/" + short]


def _of_debian(path: str) -> Iterator[str]:
    wanted = [b"  " + os.fsencode(name) + b"\n" for name in _names(path)]
    for each in glob.glob(LISTS):
        with open(each, "rb") as file:
            text = file.read()
        places = [text.find(name) for name in wanted]
        yield from (text[at - 32 : at].decode("ascii", "replace") for at in places if at >= 32)


def _of_rpm(path: str) -> Iterator[str]:
    if not os.access(RPM, os.X_OK):
        return
    names = [os.fsencode("/" + name) for name in _names(path)]
    for line in _asked(path).split(b"\n"):
        digest, _, name = line.partition(b" ")
        if digest and name in names:
            yield digest.decode("ascii", "replace")


def _asked(path: str) -> bytes:
    """All files of the package that the file is of; nothing where it is of none."""
    try:
        done = subprocess.run(
            [RPM, "-q", "--queryformat", _FORMAT, "-f", "--", path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise Refusal("packages", "Its database of packages gave no answer.") from None
    if done.returncode == 0:
        return done.stdout
    if b"is not owned by any package" in done.stdout:
        return b""
    raise Refusal("packages", "Its database of packages can't be read.")


def _digest(handle: int, algorithm: str) -> str:
    found = hashlib.new(algorithm, usedforsecurity=False)
    os.lseek(handle, 0, os.SEEK_SET)
    while True:
        block = os.read(handle, 1 << 20)
        if not block:
            return found.hexdigest()
        found.update(block)
