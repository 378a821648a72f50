"""Prints the ids of what failed if every one of them may be tried again alone; exits 1 otherwise.

Usage: again.py CACHE..., the folders in which pytest keeps what failed, one for each run that had failures.
"""

import json
import sys
from pathlib import Path

# They talk to programs of their own and promise seconds, which a busy machine can break. What counts effects, holds
# races or tampers with the log is in other folders: one failure in a thousand runs is one too many there, unless the
# test only waited in vain for another process (tests/impatience.py).
PATIENT = ("tests/connectors/", "tests/e2e/", "tests/ops/", "tests/services/")


def main(*caches: str) -> int:
    runs = [kept_in(Path(cache, "v/cache/lastfailed")) for cache in caches]
    failed = [test for run in runs for test in run]
    waited = {test for cache in caches for test in kept_in(Path(cache, "v/impatience/waited"))}
    if not all(runs) or not all(
        "::" in test and (test.startswith(PATIENT) or test in waited) for test in failed
    ):
        return 1
    sys.stdout.write("".join(f"{test}\n" for test in failed))
    return 0


def kept_in(kept: Path) -> list[str]:
    return sorted(json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else []


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
