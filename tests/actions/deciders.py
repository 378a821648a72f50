"""Several people deciding the same actions at the same time, each in a process of its own.

Reads {"users": [...], "ways": [...], "actions": [...], "seed": n} and prints one list of outcomes:
{"action", "who", "won", "error", "message"}. Ways are those of WAYS, one per user.
"""

import json
import multiprocessing
import random
import sys
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from typing import Any

from django.db import connections, transaction
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.enums import Choice, Decision, Execution
from actioncenter.actions.models import Action, Conflict, Vote

Outcome = dict[str, Any]
PATIENCE = 30


def decide(user: int, way: str, actions: list[int], seed: int, gate: Barrier) -> list[Outcome]:
    by = User.objects.get(pk=user).actor()
    return list(WAYS[way](by, actions, random.Random(f"{seed}-{user}"), gate))


def one_by_one(verb: str) -> Callable[..., Iterator[Outcome]]:
    """Everybody turns to the next action together."""

    def run(by: Any, actions: list[int], rng: random.Random, gate: Barrier) -> Iterator[Outcome]:
        for number in actions:
            gate.wait(PATIENCE)
            yield _outcome(number, by, lambda number=number: _call(number, verb, by))

    return run


def on_their_own(by: Any, actions: list[int], rng: random.Random, gate: Barrier) -> Iterator[Outcome]:
    gate.wait(PATIENCE)
    for number in rng.sample(actions, len(actions)):
        yield _outcome(number, by, lambda number=number: _call(number, "approve", by))


def all_at_once(by: Any, actions: list[int], rng: random.Random, gate: Barrier) -> Iterator[Outcome]:
    gate.wait(PATIENCE)
    for row in Action.objects.approve_many(rng.sample(actions, len(actions)), by=by):
        error = "" if row.ok else "Conflict" if row.code == "decided" else row.code
        yield {"action": row.number, "who": by.name, "won": row.ok, "error": error, "message": row.message}


def naive(by: Any, actions: list[int], rng: random.Random, gate: Barrier) -> Iterator[Outcome]:
    """Read, test, write: the mistake that the tests must be able to see."""
    for number in actions:
        gate.wait(PATIENCE)
        yield _outcome(number, by, lambda number=number: _naively(number, by, gate))


WAYS: dict[str, Callable[..., Iterator[Outcome]]] = {
    "approve": one_by_one("approve"),
    "reject": one_by_one("reject"),
    "single": on_their_own,
    "bulk": all_at_once,
    "naive": naive,
}


def _call(number: int, verb: str, by: Any) -> None:
    getattr(Action.objects.get(pk=number), verb)(by=by, comment="contest")


def _naively(number: int, by: Any, gate: Barrier) -> None:
    action = Action.objects.get(pk=number)
    if action.decision != Decision.PENDING:
        raise Conflict(action, "decided")
    gate.wait(PATIENCE)
    with transaction.atomic():
        action.decision, action.execution = Decision.APPROVED, Execution.QUEUED
        action.decided_by_name, action.decided_at = by.name, timezone.now()
        action.approved_fingerprint = action.fingerprint
        action.save()
        Vote.objects.create(
            action=action, revision=1, choice=Choice.APPROVE, user_ref=by.ref, user_name=by.name
        )


def _outcome(number: int, by: Any, call: Callable[[], None]) -> Outcome:
    error = message = ""
    try:
        call()
    except Exception as raised:  # noqa: BLE001 - any other than a conflict is what is looked for
        error, message = type(raised).__name__, str(raised)
    return {"action": number, "who": by.name, "won": not error, "error": error, "message": message}


def main() -> None:
    spec = json.load(sys.stdin)
    fork = multiprocessing.get_context("fork")
    gate, answers = fork.Barrier(len(spec["users"])), fork.SimpleQueue()

    def work(user: int, way: str) -> None:
        answers.put(decide(user, way, spec["actions"], spec["seed"], gate))
        connections.close_all()

    # Each process opens a connection of its own: none is open before the fork.
    people = [fork.Process(target=work, args=pair) for pair in zip(spec["users"], spec["ways"], strict=True)]
    for each in people:
        each.start()
    outcomes = [outcome for _ in people for outcome in answers.get()]
    for each in people:
        each.join()
    sys.stdout.write(json.dumps(outcomes))
