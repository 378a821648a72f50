"""A request whose process is killed at one point, and the same form sent again by two others.

Reads {"user": id, "actions": {name of POINTS: number}} and prints, for each point, whether the first
died there and what the two others were told.
"""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from django.db import connections

from actioncenter.accounts import answers
from actioncenter.accounts.models import Answer, User
from actioncenter.actions.models import deciding
from actioncenter.bench.visiting import Visitor


def killed(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def dying(*args: Any, **kwargs: Any) -> Any:
        if after:
            call(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


POINTS: dict[str, tuple[Any, str, bool]] = {
    "key inserted": (deciding, "decide_one", False),
    "effect done": (deciding, "decide_one", True),
    "outcome saved": (Answer, "save", True),
    "committed": (answers, "_keep", False),
    "answer kept": (answers, "_keep", True),
}


def main() -> None:
    spec = json.load(sys.stdin)
    visitor = Visitor.signed_in(User.objects.get(pk=spec["user"]))
    visitor.get("/action-center/pending")
    found = {point: _told(visitor, point, number) for point, number in spec["actions"].items()}
    sys.stdout.write(json.dumps(found))


def _told(visitor: Visitor, point: str, number: int) -> dict[str, Any]:
    connections.close_all()
    process = multiprocessing.get_context("fork").Process(target=_die, args=(visitor, point, number))
    process.start()
    process.join()
    died = process.exitcode == -signal.SIGKILL
    return {"died": died, "told": [_send(visitor, number) for _ in range(2)]}


def _die(visitor: Visitor, point: str, number: int) -> None:
    owner, name, after = POINTS[point]
    setattr(owner, name, killed(getattr(owner, name), after=after))
    _send(visitor, number)


def _send(visitor: Visitor, number: int) -> dict[str, Any]:
    fields = {"comment": "contest", "next": "/action-center/pending", "revision": "1",
              "idempotency_key": f"form {number}"}  # fmt: skip
    answer = visitor.post(f"/action-center/actions/{number}/approve", fields, into="aside#pane")
    return {"action": number, "status": answer.status, "body": answer.body.decode(), "headers": {}}
