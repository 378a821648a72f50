"""Content on its way to the controller: frames with their length in front. The first says what comes, the last
what came; in between is the content, and an empty frame ends it."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys

from actioncenter.connectors.ssh.target.places import Json, Refusal

BLOCK = 1 << 16


def frame(content: bytes) -> None:
    sys.stdout.buffer.write(struct.pack(">I", len(content)) + content)


def note(what: Json) -> None:
    frame(json.dumps(what).encode())
    sys.stdout.buffer.flush()


def send(handle: int, head: Json, told: Json) -> None:
    """All of it, if it is what was told of it: another one is never passed off as this."""
    sha256, left = hashlib.sha256(), int(told["size"])
    note({**head, "size": told["size"], "sha256": told["sha256"]})
    os.lseek(handle, 0, os.SEEK_SET)
    while left:
        block = os.read(handle, min(BLOCK, left))
        if not block:
            break
        sha256.update(block)
        frame(block)
        left -= len(block)
    frame(b"")
    if left or sha256.hexdigest() != told["sha256"]:
        raise Refusal("changed", "It was changed while it was sent.")
    note({**head, "sent": True})
