"""Work that takes longer than one call: a process of its own that outlives the connection, asked for and
ended by whoever comes back. What it came to is in the journal like everything else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from typing import Any, Callable

from actioncenter.connectors.ssh.target import booting, journal, processes, vault
from actioncenter.connectors.ssh.target.places import JOBS, Json, Refusal, alone, forget, read, write

Work = Callable[[Json, Json, "Progress"], Json]
PATIENCE = 5.0
LONGEST = 86400
KEPT = 86400
"""Seconds for which what a job made is kept, in case that nobody could take it at once."""


class Progress:
    """How far it is, on disk at most once a second."""

    def __init__(self, name: str) -> None:
        self._path = f"{JOBS}/{name}.json"
        self._told = 0.0

    def told(self, done: int, total: int) -> None:
        if time.monotonic() - self._told >= 1.0:
            write(self._path, {**(read(self._path) or {}), "done": done, "total": total})
            self._told = time.monotonic()


def product(name: str) -> str:
    """Where a job leaves what it made."""
    return f"{JOBS}/{name}.made"


def begin(item: Json, call: Json, work: Work) -> Json:
    """Start it, or find it started for this very request."""
    name = vault.name_of(call["id"], item["key"])
    if read(f"{JOBS}/{name}.json") is None:
        _start(name, item, call, work)
    return look(item, call)


def look(item: Json, call: Json) -> Json:
    """Under the lock, under which a job also writes what it came to: it can't end unseen in between."""
    known = journal.known(call["id"])
    if item["key"] in known:
        return dict(known[item["key"]])
    name = vault.name_of(call["id"], item["key"])
    state = read(f"{JOBS}/{name}.json")
    if state is None:
        return {"key": item["key"], "outcome": "unknown"}
    if not _runs(state):
        _end(state)  # what it had started may go on without it
        raise Refusal("interrupted", "It ended before it was done: the host was restarted or it was killed.")
    done, total = state.get("done", 0), state.get("total", 0)
    return {"key": item["key"], "outcome": "running", "done": done, "total": total}


def cancel(item: Json, call: Json) -> bool:
    """End it with everything that it started; False for what has ended already. The caller holds the lock."""
    if item["key"] in journal.known(call["id"]):
        return False
    name = vault.name_of(call["id"], item["key"])
    _end(read(f"{JOBS}/{name}.json") or {})
    for file in os.listdir(JOBS):
        if file.startswith(name + ".made"):
            _drop(f"{JOBS}/{file}")
    error = "cancelled: It was ended on the host."
    result = {"key": item["key"], "outcome": "cancelled", "before": {}, "after": {}, "error": error}
    journal.keep(call["id"], item["key"], result)
    return True


def tidy() -> None:
    """What was made and not taken away in time."""
    oldest = time.time() - KEPT
    for file in os.listdir(JOBS):
        with contextlib.suppress(OSError):
            if os.lstat(f"{JOBS}/{file}").st_mtime < oldest and not _runs(_state_of(file)):
                _drop(f"{JOBS}/{file}")


def _drop(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        forget(path)


def _state_of(file: str) -> Json:
    return read(f"{JOBS}/{file.partition('.')[0]}.json") or {}


def _runs(state: Json) -> bool:
    try:
        return bool(processes.started(int(state.get("pid", 0))) == state.get("started"))
    except OSError:
        return False


def _end(state: Json) -> None:
    """The whole group. Its number is nobody else's as long as anything of it lives."""
    pid = int(state.get("pid", 0))
    if state.get("boot") != booting.boot_id():
        return  # its number belongs to somebody else since
    if pid < 2 or (not _runs(state) and os.path.exists(f"/proc/{pid}")):
        return
    end = time.monotonic() + PATIENCE
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(pid, signal.SIGKILL)
            time.sleep(0.02)
            if not _members(pid):
                return


def _members(group: int) -> list[int]:
    found = []
    for pid in processes.pids():
        with contextlib.suppress(OSError):
            if processes.group(pid) == group:
                found.append(pid)
    return found


def _start(name: str, item: Json, call: Json, work: Work) -> None:
    heard, says = os.pipe()
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            _detach(name, says)
            _carry_out(name, item, call, work)
        finally:
            os._exit(0)
    os.close(says)
    ready = os.read(heard, 1)
    os.close(heard)
    if not ready:
        raise Refusal("no_job", "It could not be started.")


def _detach(name: str, says: int) -> None:
    """Outlives the session, in a group of its own, and holds nothing of the connection or the lock open."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nothing, handle)
    signal.alarm(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(10)
    pid = os.getpid()
    write(
        f"{JOBS}/{name}.json",
        {"pid": pid, "started": processes.started(pid), "boot": booting.boot_id()},
    )
    os.write(says, b"!")
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _carry_out(name: str, item: Json, call: Json, work: Work) -> None:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(max(1, min(int(call["limit"]), LONGEST)))
    try:
        result = work(item, call, Progress(name))
    except Refusal as refusal:
        result = {"outcome": "failed", "error": f"{refusal.code}: {refusal}"}
    except OSError as error:
        result = {"outcome": "failed", "error": f"system: {os.strerror(error.errno or 0)}"}
    except Exception as error:  # noqa: BLE001 - nobody else would tell what became of it
        result = {"outcome": "failed", "error": f"fault: {type(error).__name__}"}
    signal.alarm(0)
    with alone():
        if result["outcome"] == "succeeded":
            journal.acted(call["id"], item["key"], str(item["verb"]))
        whole = {"key": item["key"], "before": {}, "after": {}, "error": "", **result}
        journal.keep(call["id"], item["key"], whole)


def _too_long(signum: int, frame: Any) -> None:
    raise Refusal("too_long", "It took longer than it was given.")
