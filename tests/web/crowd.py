"""Sixteen threads that write without end, as those of a runner with much to do; a process of its own.

Told the file and the backend.
"""

import sys
import threading
from contextlib import suppress

from django.conf import settings

from actioncenter import environment

THREADS = 16
ROWS = "SELECT count(*) FROM (SELECT * FROM written ORDER BY number DESC LIMIT 200)"


def main() -> None:
    path, backend = sys.argv[1:]
    described = environment.database("NO_SUCH_VARIABLE", f"sqlite:///{path}")
    settings.configure(DATABASES={"default": {**described, "ENGINE": backend}})
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


if __name__ == "__main__":
    main()
