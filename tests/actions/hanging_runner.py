"""One real runner with four threads, whose calls to one estate hang until it hears SIGUSR1.

Told what to do as JSON in its one argument: {"hangs": name of the estate, "lease": seconds, "plant": bool}.
Planted: it shares out its threads to whoever comes first. Ends in good order on SIGTERM.
"""

import json
import signal
import sys
import threading
from datetime import timedelta
from typing import Any

from actioncenter.actions.execution import claiming, crew, jobs, loop, stepping
from actioncenter.audit.actor import Actor
from actioncenter.connectors.simulator.connector import Simulator

THREADS = 4


def main() -> None:
    spec = json.loads(sys.argv[1])
    answering = threading.Event()
    step = Simulator.step

    def hang(simulator: Simulator, *given: Any) -> Any:
        if simulator.estate.path.stem == spec["hangs"]:
            answering.wait()
        return step(simulator, *given)

    Simulator.step = hang  # type: ignore[method-assign]
    claiming.LEASE = stepping.LEASE = jobs.LEASE = timedelta(seconds=spec["lease"])
    loop.POLL_SECONDS = stepping.ASK_AGAIN = 0.1
    if spec["plant"]:
        crew.Crew.busy = lambda _: frozenset()  # type: ignore[method-assign]
    runner = loop.Runner(by=Actor.system("runner"), threads=THREADS)
    signal.signal(signal.SIGUSR1, lambda *_: answering.set())

    def end(*_: object) -> None:
        answering.set()
        runner.stop()

    signal.signal(signal.SIGTERM, end)
    runner.run()
