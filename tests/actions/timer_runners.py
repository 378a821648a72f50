"""Housekeeping that is killed while it ends a timed action, and a runner that comes after it.

Reads {"die": place or ""} and prints {"killed": bool} once nothing is left to do.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from django.db import connection

from actioncenter.actions.execution import loop, timers
from actioncenter.actions.models import timing, undoing
from actioncenter.audit.actor import Actor

PLACES: dict[str, tuple[Any, str, bool]] = {
    "before the proposal": (undoing, "proposal_of", False),
    "before the link": (undoing, "replace", False),
    "before the commit": (timing, "end", True),
    "after the commit": (timers, "_end_alone", True),
    "before it is claimed": (loop, "next_task", False),
}
BY = Actor.system("runner")


def _deadly(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def called(*args: Any, **more: Any) -> Any:
        if after:
            call(*args, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    return called


def _live_and_die(place: str) -> bool:
    """Whether the first life ended by the kill."""
    process = os.fork()
    if process:
        _, status = os.waitpid(process, 0)
        return os.WIFSIGNALED(status)
    holder, name, after = PLACES[place]
    setattr(holder, name, _deadly(getattr(holder, name), after=after))
    timers.mind(BY)
    loop.drain(by=BY)
    os._exit(0)


def main() -> None:
    spec = json.load(sys.stdin)
    killed = bool(spec["die"]) and _live_and_die(spec["die"])
    timers.mind(BY)
    loop.drain(by=BY)
    connection.close()
    sys.stdout.write(json.dumps({"killed": killed}))
