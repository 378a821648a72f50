"""A runner that can be stopped in the middle of a call, overtaken there, and woken up late."""

from greenlet import GreenletExit, getcurrent, greenlet

from actioncenter.actions.execution import claiming, loop, stepping
from actioncenter.actions.models import Attempt
from actioncenter.audit.actor import Actor
from tests.actions.model_based.far_side import Fate, Point

BY = Actor.system("runner")


def pause(point: Point) -> Fate:
    """Called by the far side: give the machine its turn, go on with the fate that it chose."""
    machine = getcurrent().parent
    if machine is None:
        raise RuntimeError("only a runner may reach a connector")
    fate: Fate = machine.switch(point)
    return fate


class Runner:
    """One piece of work at a time, carried out by the product's own code."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attempt: Attempt | None = None
        self._job: greenlet | None = None
        self._running = False

    @property
    def idle(self) -> bool:
        return self._job is None

    @property
    def overtaken(self) -> bool:
        """Whether the piece of work in hand is somebody else's by now, or over."""
        attempt = self.attempt
        return attempt is not None and not (
            Attempt.objects.filter(pk=attempt.pk, token=attempt.token, ended_at=None).exists()
        )

    def take(self) -> bool:
        """Find something to do, as the loop does; False when there is nothing."""
        attempt = loop.take_due(self.name) or claiming.claim_next(self.name, by=BY)
        if attempt is not None:
            self.attempt, self._running = attempt, False
            self._job = greenlet(lambda: stepping.work(attempt, by=BY))
        return attempt is not None

    def go(self, fate: Fate, until: Point | None) -> None:
        """Work on, and freeze at that point; to the end if it is never reached."""
        job = self._job
        while job is not None:
            reached = job.switch(fate) if self._running else job.switch()
            self._running = True
            if job.dead:
                self._forget()
                return
            if reached == until:
                return

    def die(self) -> None:
        """As a killed process: nothing more is written, and nobody is told."""
        if self._job is not None and self._running:
            self._job.throw(GreenletExit)
        self._forget()

    def _forget(self) -> None:
        self._job, self.attempt = None, None
