"""What would stop, for whoever has to decide: connections and programs of this moment. Nothing hangs on it but words."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from typing import Any, Callable, Iterator, Mapping

from actioncenter.connectors.ssh.target import (
    containment,
    isolation,
    packages,
    paths,
    processes,
    restriction,
    rules,
)
from actioncenter.connectors.ssh.target.places import Json, Refusal

MOST_TOLD = 10
LONGEST = 200
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED, _LISTENS = "01", "0A"


def stops(item: Json, call: Json) -> Json:
    """Empty where nothing does, or where that can't be seen."""
    look = _BY_VERB.get(item["verb"])
    try:
        return look(item, call) if look else {}
    except (Refusal, OSError, ValueError, KeyError):
        return {}


def _isolating(item: Json, call: Json) -> Json:
    trusted, (_, ours) = rules.networks(call["controllers"]), isolation.caller()
    selective = item["parameters"].get("isolation") == "selective"
    spared = rules.networks(call["allowed"]) if selective else []
    cut = [
        far
        for port, far in _connections(_ESTABLISHED)
        if not any(far in each for each in spared)
        and not (port == ours and any(far in each for each in trusted))
    ]
    listens = {port for port, _ in _connections(_LISTENS) if port != ours}
    return {**_told(cut), "listens": sorted(listens)[:MOST_TOLD]}


def _containing(item: Json, call: Json) -> Json:
    wanted = set(containment.addresses(item))
    return _told([far for _, far in _connections(_ESTABLISHED) if str(far) in wanted])


def _restricting(item: Json, call: Json) -> Json:
    below = tuple(each + "/" for each in restriction.places())
    found = set()
    for pid in processes.pids():
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/{pid}/exe")
            if path.startswith(below):
                found.add(os.fsencode(path).decode("utf-8", "backslashreplace")[:LONGEST])
    return {"programs": len(found), "from": sorted(found)[:MOST_TOLD]}


def _quarantining(item: Json, call: Json) -> Json:
    """Whether it would be refused for that."""
    if item["parameters"].get("package_files") == "take":
        return {}
    with paths.folder_of(str(item["facts"].get("path", ""))) as (folder, name):
        handle = paths.open_file(folder, name)
    try:
        return {"package": packages.has_unchanged(handle, str(item["facts"]["path"]))}
    finally:
        os.close(handle)


def _told(cut: list[Any]) -> Json:
    return {"connections": len(cut), "with": sorted({str(far) for far in cut})[:MOST_TOLD]}


def _connections(state: str) -> Iterator[tuple[int, Any]]:
    """Local port and far address, or for what listens the address it listens on; nothing of this host with itself."""
    for table in _TABLES:
        with open(table, encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        for near, far, found in (row[1:4] for row in rows):
            if found == state and not _address(near).is_loopback:
                yield int(near.partition(":")[2], 16), _address(near if state == _LISTENS else far)


def _address(text: str) -> Any:
    """As the kernel prints it, in words of four bytes each. An IPv4 address in IPv6's clothes is the IPv4 address."""
    raw = bytes.fromhex(text.partition(":")[0])
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    plain = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    address = ipaddress.ip_address(plain)
    return getattr(address, "ipv4_mapped", None) or address


_BY_VERB: Mapping[str, Callable[[Json, Json], Json]] = {
    "isolate": _isolating,
    "contain": _containing,
    "restrict": _restricting,
    "quarantine_file": _quarantining,
}
