"""Kill one process: the one that was judged, known by its program or the moment it began, never by a number alone."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone

from actioncenter.connectors.ssh.target import journal, processes
from actioncenter.connectors.ssh.target.places import Json, Refusal

NEAR = 2.0
"""Seconds by which what a sensor wrote down may differ from when it began."""
PATIENCE = 5.0


def observe(item: Json, call: Json) -> Json:
    """`alive` speaks of the judged process; another one that has its number by now doesn't count."""
    pid = _pid(item["facts"])
    try:
        since, found = processes.started(pid), processes.program(pid)
        if processes.started(pid) != since or not _is_meant(item["facts"], since, found):
            return {"pid": pid, "alive": False}
        return {"pid": pid, "alive": True, "started": since, "sha256": found["sha256"]}
    except OSError:
        return {"pid": pid, "alive": False}


def kill(item: Json, call: Json) -> Json:
    state = observe(item, call)
    if not state["alive"]:
        return {"outcome": "gone", "after": {"alive": False}}
    pid, since = state["pid"], state["started"]
    if pid in processes.ours():
        raise Refusal("protected", "The connection to this host hangs on it.")
    processes.kill(pid, since)
    end = time.monotonic() + PATIENCE
    while _runs(pid, since):
        if time.monotonic() > end:
            raise Refusal("still_running", "It was told to end and didn't.")
        time.sleep(0.01)
    journal.acted(call["id"], item["key"], "killed")
    return {"outcome": "succeeded", "after": {"alive": False, "sha256": state["sha256"]}}


def _pid(facts: Json) -> int:
    """Raises Refusal where a number is all that is known."""
    pid = facts.get("pid")
    if not isinstance(pid, int) or pid < 1:
        raise Refusal("no_pid", "Its process id isn't known.")
    if not any(facts.get(name) for name in ("sha256", "sha1", "created")):
        raise Refusal(
            "no_identity", "A number alone names no process: its hash or when it began has to be known."
        )
    return pid


def _is_meant(facts: Json, since: int, found: Json) -> bool:
    if facts.get("created") and abs(_moment(since) - _told(str(facts["created"]))) > NEAR:
        return False
    known = any(facts.get(name) for name in ("sha256", "sha1"))
    return not known or processes.matches(found, facts)


def _moment(ticks: int) -> float:
    """Seconds since the epoch."""
    with open("/proc/stat", encoding="ascii") as file:
        booted = next(int(line.split()[1]) for line in file if line.startswith("btime "))
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _told(text: str) -> float:
    """Raises Refusal for what is no time."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refusal("time", "When it began can't be read.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _runs(pid: int, since: int) -> bool:
    try:
        return processes.started(pid) == since
    except OSError:
        return False
