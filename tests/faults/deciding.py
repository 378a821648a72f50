"""People who decide while the database goes away under them, each in a thread of one web server's process.

Reads {"user": id, "actions": [numbers], "threads": n}; prints a line for each answer that it gets. Whoever is
asked to come again sends the same form again, until it is taken. The last ones are held back for a second line.
"""

import json
import queue
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from django.db import connection

from actioncenter.accounts.models import User
from actioncenter.bench.visiting import Visitor

SAYING = threading.Lock()
GOES_ON = threading.Event()
HELD_BACK = 3


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


def work(visitor: Visitor, waiting: "queue.Queue[int]") -> None:
    with suppress(queue.Empty):
        while True:
            number = waiting.get_nowait()
            if waiting.qsize() < HELD_BACK:
                GOES_ON.wait()
            decide(visitor, number)
    connection.close()


def main() -> None:
    spec = json.loads(sys.stdin.readline())
    user = User.objects.get(pk=spec["user"])
    visitors = [Visitor.signed_in(user) for _ in range(spec["threads"])]
    waiting: queue.Queue[int] = queue.Queue()
    for number in spec["actions"]:
        waiting.put(number)
    threads = [threading.Thread(target=work, args=(visitor, waiting)) for visitor in visitors]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    GOES_ON.set()
    for thread in threads:
        thread.join()
