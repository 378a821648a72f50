"""Processes that write events at once and take some of them back. Told what to do as JSON, see `main`."""

import json
import random
import sys
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

from django.db import transaction

from actioncenter.audit import log
from tests.audit.drafts import draft


def write(seed: int, each: int, ready: str) -> Counter[str]:
    """In transactions of one to three events; how many events of its stream were committed."""
    chance, committed = random.Random(seed), Counter[str]()
    Path(ready, str(seed)).touch()
    for _ in range(each):
        number, taken_back = chance.randint(1, 3), chance.random() < 0.2
        with transaction.atomic():
            log.record_many([draft(f"action:{seed}") for _ in range(number)])
            transaction.set_rollback(taken_back)
        committed[f"action:{seed}"] += 0 if taken_back else number
    return committed


def main() -> None:
    """{"seeds": one for each process, "each": transactions, "ready": folder for a file of each that begins}."""
    spec = json.load(sys.stdin)
    jobs = [(seed, spec["each"], spec["ready"]) for seed in spec["seeds"]]
    with get_context("fork").Pool(len(jobs)) as pool:
        json.dump(sum(pool.starmap(write, jobs, chunksize=1), Counter[str]()), sys.stdout)
