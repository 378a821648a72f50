"""Runners that are killed, over and over, until their work is done.

Reads {"runners": n, "deaths": n, "seed": n, "lease": seconds, "die": {"place": chance}, "kill": bool,
"plant": bool} and prints {"deaths": n, "killed": n, "seconds": n}. `die` names places at which a
runner kills itself; with `kill` any runner is killed at random moments too. After that many deaths
the last ones live until nothing is left to do.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db.models import Q

from actioncenter.actions.enums import Execution
from actioncenter.actions.execution import claiming, jobs, loop, outside, stepping
from actioncenter.actions.models import Action, Attempt, attempting, pacing
from actioncenter.audit.actor import Actor

OVER_AFTER = 150.0
CALM_AFTER = 6.0
"""Seconds after which nobody is killed any more; a slow machine gets fewer kills."""


def run(spec: dict[str, Any], rng: random.Random, *, calm: bool) -> None:
    """One life of a runner, in a process of its own."""
    lease = timedelta(seconds=spec["lease"])
    claiming.LEASE = stepping.LEASE = jobs.LEASE = lease
    stepping.ASK_AGAIN = loop.POLL_SECONDS = 0.1
    # With such a lease a busy machine makes every call look as if it hung.
    pacing.FAILURES = 10**6
    if not calm:
        _arm(spec["die"], rng)
    if spec["plant"]:
        outside.request_for = _numbered(outside.request_for)
    runner = loop.Runner(by=Actor.system("runner"), threads=4)
    threading.Thread(target=_stop_when_done, args=(runner,), daemon=True).start()
    runner.run()


def _stop_when_done(runner: Any) -> None:
    busy = Q(next_poll_at__isnull=False) | Q(lease_until__isnull=False)
    known = Action.objects.running().exclude(execution=Execution.OUTCOME_UNKNOWN)
    while known.exists() or Attempt.objects.filter(busy).exists():
        time.sleep(0.1)
    runner.stop()


def _arm(deaths: dict[str, float], rng: random.Random) -> None:
    """Let some calls be a runner's last."""
    places: dict[str, tuple[Any, str, bool]] = {
        "before the intent mark": (attempting, "mark_sent", False),
        "after the intent mark": (attempting, "mark_sent", True),
        "before the effect": (attempting, "intend", True),
        "after the effect": (stepping, "_take", False),
        "after the record": (attempting, "finish", True),
    }
    for place, chance in deaths.items():
        holder, name, after = places[place]
        setattr(holder, name, _deadly(getattr(holder, name), chance, rng, after=after))


def _deadly(
    call: Callable[..., Any], chance: float, rng: random.Random, *, after: bool
) -> Callable[..., Any]:
    def called(*args: Any, **more: Any) -> Any:
        fatal = rng.random() < chance
        if fatal and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(*args, **more)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return called


def _numbered(request_for: Callable[..., Any]) -> Callable[..., Any]:
    """The mistake that the tests must be able to see: a new id for every try."""

    def numbered(attempt: Any, targets: Any, **more: Any) -> Any:
        request = request_for(attempt, targets, **more)
        return replace(request, id=f"{request.id}-{attempt.token}")

    return numbered


class Keeper:
    """Starts the runners again and again; the database is only touched in their processes."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.rng = random.Random(spec["seed"])
        self.began = time.monotonic()
        self.killed = self.deaths = self.lives = 0

    @property
    def age(self) -> float:
        return time.monotonic() - self.began

    @property
    def calm(self) -> bool:
        return self.deaths >= self.spec["deaths"] or self.age > CALM_AFTER

    def keep(self) -> None:
        alive = {self._start() for _ in range(self.spec["runners"])}
        next_kill = self._some_time()
        while alive:
            time.sleep(0.01)
            if self.spec["kill"] and not self.calm and self.age > next_kill:
                os.kill(self.rng.choice(sorted(alive)), signal.SIGKILL)
                self.killed += 1
                next_kill = self._some_time()
            alive = {pid for process in alive if (pid := self._alive(process))}
            if self.age > OVER_AFTER:
                for process in alive:
                    os.kill(process, signal.SIGKILL)
                raise SystemExit("something is stuck")

    def _alive(self, process: int) -> int | None:
        """Its number, its successor's, or None when it has found nothing more to do."""
        pid, status = os.waitpid(process, os.WNOHANG)
        if not pid:
            return process
        if os.WIFSIGNALED(status):
            self.deaths += 1
            return self._start()
        if os.waitstatus_to_exitcode(status):
            raise SystemExit("a runner broke")
        return None

    def _some_time(self) -> float:
        return self.age + self.rng.uniform(0.05, 0.6)

    def _start(self) -> int:
        self.lives += 1
        process = os.fork()
        if process:
            return process
        try:
            run(self.spec, random.Random(f"{self.spec['seed']}-{self.lives}"), calm=self.calm)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)


def main() -> None:
    keeper = Keeper(json.load(sys.stdin))
    keeper.keep()
    told = {"deaths": keeper.deaths, "killed": keeper.killed, "seconds": keeper.age}
    sys.stdout.write(json.dumps(told))
