"""Sixteen threads that write without end, as those of a runner with much to do; a process of its own.

Told the file and the backend.
"""

import sys
import threading
from contextlib import suppress
from typing import Any

from django.conf import settings

THREADS = 16
ROWS = "SELECT count(*) FROM (SELECT * FROM written ORDER BY number DESC LIMIT 200)"


def main() -> None:
    path, backend = sys.argv[1:]
    settings.configure(DATABASES={"default": described(path, backend)})
    # Only once there are settings.
    from django.db import OperationalError, connection, transaction  # noqa: PLC0415

    def write_for_ever() -> None:
        while True:
            with suppress(OperationalError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("INSERT INTO written DEFAULT VALUES")
                for _ in range(100):
                    cursor.execute(ROWS)

    for _ in range(THREADS):
        threading.Thread(target=write_for_ever).start()


def described(path: str, backend: str) -> dict[str, Any]:
    options = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
    }
    return {"ENGINE": backend, "NAME": path, "OPTIONS": options}


if __name__ == "__main__":
    main()
