"""Celery's part: a wake-up. Losing, doubling or forging one changes nothing; the row decides."""

from collections.abc import Sequence

from celery import shared_task

from actioncenter.actions.execution import loop
from actioncenter.audit.actor import Actor


@shared_task(name="actions.wake", ignore_result=True)  # type: ignore[untyped-decorator]
def wake(*, ids: Sequence[int] = (), **_later: object) -> None:
    """Do what can be done now. `ids` only says why somebody thinks that there is work."""
    loop.drain(by=Actor.system("worker"), limit=200)
