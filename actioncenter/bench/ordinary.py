"""The peer: an ordinary Celery project, whose task per action is told which one it is for.

`celery -A actioncenter.bench.ordinary worker`. Its messages go to a queue of their own.
"""

from collections.abc import Sequence
from typing import Final

import django
from celery import Celery
from django.conf import settings

django.setup()

from actioncenter.actions.execution import stepping  # noqa: E402 - models load only once Django is set up
from actioncenter.actions.execution.loop import runner_name  # noqa: E402
from actioncenter.audit.actor import Actor  # noqa: E402
from actioncenter.bench import watched  # noqa: E402

QUEUE: Final = "ordinary"
app = Celery("ordinary", broker=settings.CELERY_BROKER_URL)
app.conf.update(task_default_queue=QUEUE, task_ignore_result=True, worker_prefetch_multiplier=1)


@app.task(name="told")  # type: ignore[untyped-decorator]
def told(ids: Sequence[int]) -> None:
    """That it has started is stamped as it is for the product's own task."""


@app.task(name="carry_out")  # type: ignore[untyped-decorator]
def carry_out(ids: Sequence[int]) -> None:
    by = Actor.system("bench")
    for pk in ids:
        attempt = watched.stamped_claim(pk, runner_name(), by=by)
        if attempt is not None:
            stepping.work(attempt, by=by)
