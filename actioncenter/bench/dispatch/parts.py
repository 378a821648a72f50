"""What is measured. Each works on the database and the broker that the environment names."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from django.db import transaction

from actioncenter.actions import dispatch
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.audit.actor import Actor
from actioncenter.bench import ordinary, stamps
from actioncenter.bench.dispatch import making, starting

MILLI: Final = 1000
CHUNK_ROUNDS: Final = 5
LISTENERS: Final = 8
THREADS: Final = 32
PACE: Final = 0.5
"""Seconds that a call of a remote interface takes."""
Say = Callable[[str], None]


def starts(samples: int, rng: random.Random, *, direct: bool, say: Say) -> dict[str, list[float]]:
    """Milliseconds from commit, in turns with direct publish where asked for.

    `heard` until our task has started, `begun` until the runner judges the action, `called` until it is
    claimed and its connector is called; `direct` until the peer's task has started. Without a broker there are no
    tasks.
    """
    making.set_pace(0.0, calls=THREADS)
    ways: list[Way] = [partial(_ours, broker=direct), *([_direct] if direct else [])]
    order = [way for way in ways for _ in range(samples + 1)]
    numbers, by = making.waiting(len(order), say=say), making.person()
    rng.shuffle(order)
    taken: dict[str, list[float]] = {}
    with _listeners(direct=direct):
        for pk, way in zip(numbers, order, strict=True):
            stamps.forget()
            for what, found in way(pk, by).items():
                taken.setdefault(what, []).append(found)
            _until_over(pk)
            # Between two commits of a person nothing else is under way.
            time.sleep(rng.uniform(0.05, 0.1))
    return {what: found[1:] for what, found in taken.items()}


Way = Callable[[int, Actor], dict[str, float]]


@contextmanager
def _listeners(*, direct: bool) -> Iterator[None]:
    with ExitStack() as processes:
        if direct:
            processes.enter_context(starting.ordinary(LISTENERS, "threads"))
        processes.enter_context(starting.worker(LISTENERS) if direct else starting.runner())
        yield


def _ours(pk: int, by: Actor, *, broker: bool) -> dict[str, float]:
    target = ActionTarget.objects.get(action=pk).pk
    committed = _approved(pk, by)
    keys = {**({"heard": f"{pk}/1"} if broker else {}), "begun": str(pk), "called": str(target)}
    return {what: (_seen(what, key) - committed) * MILLI for what, key in keys.items()}


def _direct(pk: int, by: Actor) -> dict[str, float]:
    """What an ordinary project does: the action's own message, sent after the commit, is the task."""
    publish = partial(ordinary.told.apply_async, kwargs={"ids": [pk]}, retry=False)
    with _nobody_woken():
        committed = _approved(pk, by, then=publish)
    told = _seen("heard", f"{pk}/1")
    dispatch.wake([pk])
    return {"direct": (told - committed) * MILLI}


def _until_over(pk: int) -> None:
    over = time.monotonic() + stamps.PATIENCE
    while not Action.objects.filter(pk=pk, history_at__isnull=False).exists():
        if time.monotonic() > over:
            raise RuntimeError(f"Action {pk} never ended.")
        time.sleep(0.01)


def _approved(pk: int, by: Actor, then: Callable[[], object] | None = None) -> float:
    """When it was committed, which is before anybody is told."""
    moments: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: moments.append(time.monotonic()))
        if then:
            transaction.on_commit(then)
        Action.objects.get(pk=pk).approve(by=by, comment="bench")
    return moments[0]


def _seen(what: str, key: str) -> float:
    wanted = (what, key)
    found = stamps.wait_for(lambda all_: any(each[:2] == wanted for each in all_), every=0.002)
    return next(each.at for each in found if each[:2] == wanted)


@contextmanager
def _nobody_woken() -> Iterator[None]:
    wake = dispatch.wake
    dispatch.wake = _silent
    try:
        yield
    finally:
        dispatch.wake = wake


def _silent(ids: Sequence[int] = ()) -> None:
    return None


def chunks(number: int, rng: random.Random, *, say: Say) -> dict[str, list[float]]:
    """Ids per second from the first publish to the start of the last task, in chunks and one by one."""
    say(f"Sending {number:,} wake-ups in chunks and one by one ...")
    ids = list(range(10**12, 10**12 + number))
    ways = {"chunks": partial(dispatch.wake, ids), "single": partial(_one_by_one, ids)}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    with starting.worker(LISTENERS):
        for way in [way for _ in range(CHUNK_ROUNDS) for way in rng.sample(sorted(ways), 2)]:
            stamps.forget()
            began = time.monotonic()
            ways[way]()
            found = stamps.wait_for(lambda found: _heard(found) >= number, every=0.05)
            last = max(each.at for each in found if each.what == "heard")
            taken[way].append(number / (last - began))
    return taken


def _one_by_one(ids: list[int]) -> None:
    for each in ids:
        dispatch.wake([each])
        # What piles up is lost.
        dispatch.courier.rest(dispatch.ANSWERS_WITHIN)


def _heard(found: list[stamps.Stamp]) -> int:
    return sum(int(each.key.partition("/")[2]) for each in found if each.what == "heard")


@dataclass(frozen=True, slots=True)
class Throughput:
    actions: int
    per_second: float
    mib: float


def threads(number: int, *, say: Say) -> Throughput:
    """So many decided actions with the product's worker."""
    numbers = _decided(number, say=say)
    # One connector gets half of a runner's threads.
    with starting.worker(2 * THREADS) as process:
        return _measured(numbers, process)


def processes(number: int, *, workers: int, say: Say) -> Throughput:
    """So many with the peer's processes, each told by a message of its own."""
    numbers = _decided(number, say=say)
    with starting.ordinary(workers, "prefork") as process:
        for pk in numbers:
            ordinary.carry_out.delay([pk])
        return _measured(numbers, process)


def _decided(number: int, *, say: Say) -> list[int]:
    making.set_pace(PACE, calls=THREADS)
    stamps.forget()
    numbers, by = making.waiting(number, say=say), making.person()
    with _nobody_woken():
        making.decided(numbers, by)
    say(f"Carrying out {number:,} actions ...")
    return numbers


def _measured(numbers: list[int], process: starting.Process) -> Throughput:
    """From the first call to the last one; memory half-way."""
    stamps.wait_for(lambda found: _calls(found) * 2 >= len(numbers), every=0.2)
    held = process.memory() / 2**20
    found = stamps.wait_for(lambda found: _calls(found) >= len(numbers), every=0.2)
    moments = sorted(each.at for each in found if each.what == "called")
    return Throughput(len(numbers), (len(moments) - 1) / (moments[-1] - moments[0]), held)


def _calls(found: list[stamps.Stamp]) -> int:
    return sum(each.what == "called" for each in found)
