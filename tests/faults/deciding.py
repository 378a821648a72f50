"""People who decide while the database goes away or changes under them, as threads of one web server's process.

As a program it reads {"user": id, "threads": n}, then lists of actions as they are given, one a line. It prints a line
for each answer. Whoever is asked to come again sends the same form again, until it is taken.
"""

import json
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any, Self

from django.conf import settings
from django.db import connection

from actioncenter.accounts.models import User
from actioncenter.actions.models import Action
from actioncenter.bench.visiting import Visitor
from tests.actions.stopping import PATIENCE, environment
from tests.impatience import TookTooLong

SAYING = threading.Lock()
START = "import django; django.setup(); from tests.faults.deciding import main; main()"


class Deciders:
    """The process as a test sees it. As a context manager it is ended once all that was given is decided."""

    def __init__(self, url: str, user: User, *, threads: int, **more: str) -> None:
        self.told: list[Any] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", START], env=environment(url, **more), cwd=settings.BASE_DIR, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._write({"user": user.pk, "threads": threads})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        assert self.process.stdin is not None
        with self.process:
            if kind is not None:
                self.process.kill()
            self.process.stdin.close()
            self._listener.join(PATIENCE)
            is_late = self._listener.is_alive()
            self.process.kill()
        if is_late and kind is None:
            raise TookTooLong("they never came to the end")

    def give(self, actions: list[Action]) -> None:
        self._write([action.pk for action in actions])

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer["status"] for answer in self.told)

    def _write(self, line: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))


def say(**answer: Any) -> None:
    with SAYING:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def decide(visitor: Visitor, number: int) -> None:
    status = 503
    while status == 503:
        fields = {"idempotency_key": f"form {number}", "next": "/action-center/pending"}
        answer = visitor.post(f"/action-center/actions/{number}/approve", fields)
        status = answer.status
        say(action=number, status=status, retry_after=answer.headers.get("Retry-After", ""))
        time.sleep(0.05)


def work(visitor: Visitor, waiting: "queue.Queue[int | None]") -> None:
    while (number := waiting.get()) is not None:
        decide(visitor, number)
    connection.close()


def main() -> None:
    spec = json.loads(sys.stdin.readline())
    user = User.objects.get(pk=spec["user"])
    waiting: queue.Queue[int | None] = queue.Queue()
    threads = [
        threading.Thread(target=work, args=(Visitor.signed_in(user), waiting)) for _ in range(spec["threads"])
    ]
    for thread in threads:
        thread.start()
    for line in sys.stdin:
        for number in json.loads(line):
            waiting.put(number)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
