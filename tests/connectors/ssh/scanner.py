#!/usr/bin/python3 -I
"""A stand-in for clamscan on hosts of the lab: its arguments, its lines, its exit codes, and signatures of our own.

It stands in because signatures of the real one are hundreds of megabytes and come from the internet.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

MARK = b"own-test-" + b"signature"
LIST = "--file-list="
SLOW, BROKEN = Path("/root/scanner-slow"), Path("/root/scanner-broken")
SWAPPED = Path("/root/scanner-swapped")
"""With it somebody lays another program where something was found, before anybody else looks there."""
PACED = Path("/root/scanner-paced")
"""With it only as many files are looked at as it has bytes."""


def main() -> int:
    listing = next(each[len(LIST) :] for each in sys.argv if each.startswith(LIST))
    child = subprocess.Popen(["/usr/bin/sleep", "4242"]) if SLOW.exists() else None
    if BROKEN.exists():
        return 40
    status = 0
    with Path(listing).open("rb") as files:
        for number, line in enumerate(files):
            while not may_go_on(number):
                time.sleep(0.02)
            status = max(status, looked_at(line.rstrip(b"\n")))
    if child:
        child.kill()
    return status


def may_go_on(number: int) -> bool:
    try:
        return PACED.stat().st_size > number
    except FileNotFoundError:
        return True


def looked_at(path: bytes) -> int:
    while SLOW.exists():
        time.sleep(0.05)
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            found = MARK in file.read()
    except FileNotFoundError:
        said, status = b"Can't access file", 0
        path = b"WARNING: " + path
    except OSError:
        said, status = b"Access denied. ERROR", 2
    else:
        said, status = (b"Own.Test.Signature.UNOFFICIAL FOUND", 1) if found else (b"OK", 0)
    if status == 1 and SWAPPED.exists():
        other = Path(os.fsdecode(path) + ".other")
        other.write_bytes(Path("/usr/bin/sleep").read_bytes())
        other.rename(os.fsdecode(path))
    sys.stdout.buffer.write(path + b": " + said + b"\n")
    sys.stdout.buffer.flush()
    return status


if __name__ == "__main__":
    sys.exit(main())
