"""Imported by whatever a benchmark watches: it stamps what happens, and a slow device takes the simulator's place."""

from typing import Any

from celery.signals import task_prerun

from actioncenter.actions.execution import claiming
from actioncenter.actions.models import Attempt
from actioncenter.bench import stamps
from actioncenter.connectors import registry

registry.KINDS["simulator"] = "actioncenter.bench.device"
_claim_one = claiming.claim_one


def stamped_claim(pk: int, *args: Any, **named: Any) -> Attempt | None:
    stamps.put("begun", pk)
    return _claim_one(pk, *args, **named)


claiming.claim_one = stamped_claim


@task_prerun.connect  # type: ignore[untyped-decorator]
def heard(task: Any, kwargs: Any, **_more: object) -> None:
    """A task has started, of the product or of its peer: which is the first that it was told of, and of how many."""
    ids = kwargs.get("ids") or [0]
    if task.name in {"actions.wake", "told"}:
        stamps.put("heard", f"{ids[0]}/{len(ids)}")
