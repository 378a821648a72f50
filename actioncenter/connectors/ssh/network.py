"""The network namespace through which hosts are reached, where the controller has one of its own for that."""

import ctypes
import os
from pathlib import Path
from typing import Final

NAMESPACES: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def enter(name: str) -> None:
    """Move the calling thread, and no other, into that namespace; an empty name stays. Raises OSError."""
    if not name:
        return
    with (NAMESPACES / name).open() as handle:
        if _libc.setns(handle.fileno(), _CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
