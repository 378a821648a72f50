"""One real runner with its housekeeping, for tests of stops. Told what to do as JSON in its one argument.

{"freeze": place or "", "tidy": bool, "plant": mistake or ""}. At the place it freezes itself once, as a
machine that is suspended would; whoever watches it lets it go on. Ends in good order on SIGTERM.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from actioncenter.actions import housekeeping
from actioncenter.actions.execution import beating, candidates, claiming, gates, holding, journal, loop
from actioncenter.actions.models import attempting
from actioncenter.audit.actor import Actor

ALONE = threading.RLock()
"""Held by whatever may write: a process frozen while it writes would lock SQLite for everybody."""

PLACES: dict[str, tuple[Any, str, bool]] = {
    "before the claim": (claiming, "claim_one", False),
    "inside the fence": (attempting, "claim", True),
    "after the claim": (claiming, "claim_one", True),
    "before the intent": (journal.Port, "intent", False),
    "within the intent": (attempting, "intend", True),
    "before the touch": (journal.Port, "intent", True),
}


def freeze_at(place: str) -> None:
    for owner, work in [
        (beating.Beats, "beat"),
        (housekeeping, "run_due"),
        (loop, "next_task"),
        (loop, "_in_thread"),
    ]:
        setattr(owner, work, _alone(getattr(owner, work)))
    holder, name, after = PLACES[place]
    setattr(holder, name, _freezing(getattr(holder, name), after=after))


def _alone(call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **more: Any) -> Any:
        with ALONE:
            return call(*args, **more)

    return called


def _freezing(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    once = threading.Lock()

    def freeze() -> None:
        # Sent to this very thread: one sent to the process is taken by the main thread, and this one runs on.
        if once.acquire(blocking=False):
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def called(*args: Any, **more: Any) -> Any:
        if not after:
            freeze()
        answer = call(*args, **more)
        if after:
            freeze()
        return answer

    return called


def deaf() -> None:
    """Asks nobody whether anything is stopped."""
    candidates.reaches = lambda **_: frozenset()
    gates.stopped = holding.stopped = lambda *_, **__: False


def hasty() -> None:
    """Doesn't look again after it was frozen between asking and sending."""
    journal.STALE = 1e9


PLANTS: dict[str, Callable[[], None]] = {"": lambda: None, "deaf": deaf, "hasty": hasty}
"""Mistakes that the tests must be able to see."""


def main() -> None:
    spec = json.loads(sys.argv[1])
    PLANTS[spec["plant"]]()
    if spec["freeze"]:
        freeze_at(spec["freeze"])
    loop.POLL_SECONDS = 0.1
    journal.STOP_POLL = 0.5
    by = Actor.system("runner")
    runner = loop.Runner(by=by, threads=4)
    signal.signal(signal.SIGTERM, lambda *_: runner.stop())
    tidy = threading.Thread(target=housekeeping.run_until, args=(runner.stopping,), kwargs={"by": by})
    if spec["tidy"]:
        tidy.start()
    runner.run()
    if spec["tidy"]:
        tidy.join()
