"""Who can talk to whom, tried from inside of the namespaces."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from actioncenter.estate.lab import within

PATIENCE = 0.6
"""Seconds that a packet which nobody drops takes at most, a thousandfold."""


@contextlib.contextmanager
def listening(namespace: str, address: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = within(namespace, lambda: socket.socket(family))
    with server:
        server.bind((address, 0))
        server.listen()
        server.settimeout(PATIENCE)
        yield server


def connected(namespace: str, address: str, port: int) -> socket.socket:
    """Raises OSError where nothing gets through."""
    return within(namespace, lambda: socket.create_connection((address, port), PATIENCE))


def reaches(namespace: str, address: str, port: int) -> bool:
    try:
        connected(namespace, address, port).close()
    except OSError:
        return False
    return True


def gets_out(namespace: str, server: socket.socket) -> bool:
    address, port = server.getsockname()[:2]
    return reaches(namespace, address, port)


def raw_frame_arrives(sender: str, receiver: str) -> bool:
    """A frame past the IP stack of the sender, as a raw socket sends it."""
    kind = 0x88B5  # for local experiments
    with (
        within(receiver, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))) as far,
        within(sender, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as near,
    ):
        far.bind(("eth0", kind))
        far.settimeout(PATIENCE)
        near.bind(("eth0", 0))
        source = near.getsockname()[4]
        # What is dropped on its way out may be told as a lack of buffers.
        with contextlib.suppress(OSError):
            near.send(b"\xff" * 6 + source + kind.to_bytes(2, "big") + b"out of the box".ljust(50, b"."))
            return b"out of the box" in far.recv(200)
    return False


def until(true: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether it becomes true in that time; for what happens on a host by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False
