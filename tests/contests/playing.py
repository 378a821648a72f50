"""People who do the same things at the same time, each in a process and a session of their own.

Reads {"players": [{"user": id, "way": name, ...}], "rounds": [numbers of actions, ...], "seed": n,
"planted": name} and prints a list of what everybody was told, `Told` each. All players turn to each
round together. A player without a `user` is no person: the sweeper or a runner.
"""

import json
import multiprocessing
import random
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from multiprocessing.synchronize import Barrier
from typing import Any

from django.db import connections
from django.db.models.functions import Now

from actioncenter.accounts.models import User
from actioncenter.actions import housekeeping
from actioncenter.actions.enums import AttemptState, Decision, Execution
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, Attempt
from actioncenter.audit.actor import Actor
from actioncenter.bench.visiting import Answered, Visitor
from tests.contests.planted import PLANTED

PATIENCE = 60
"""Seconds until somebody who doesn't come to the next round breaks up the contest."""
BESIDE_LIST = "aside#pane"
NOTICE = "div#notice"
SYSTEM = Actor.system("runner")
Told = dict[str, Any]


@dataclass
class Player:
    name: str
    way: str
    visitor: Visitor | None
    rng: random.Random
    gate: Barrier
    spec: dict[str, Any]

    def rounds(self) -> Iterator[tuple[int, list[int]]]:
        for at, numbers in enumerate(self.spec["rounds"]):
            self.gate.wait(PATIENCE)
            yield at, numbers

    def ask(self, at: int, number: int, verb: str, **fields: Any) -> Told:
        """Send one form, now as a page, now as a fragment."""
        into = self.rng.choice(["", BESIDE_LIST])
        fields = {"comment": "contest", "next": "/action-center/pending", **fields}
        fields.setdefault("idempotency_key", f"{self.name}-{at}-{number}-{self.rng.random()}")
        return self.send(f"/action-center/actions/{number}/{verb}", fields, into, round=at, action=number)

    def send(self, address: str, fields: dict[str, Any], into: str, **more: Any) -> Told:
        assert self.visitor is not None
        began = time.perf_counter()
        answer = self.visitor.post(address, fields, into=into)
        took = time.perf_counter() - began
        return {**more, "who": self.name, "way": self.way, "status": answer.status, "text": text_of(answer),
                "ms": took * 1000}  # fmt: skip


def text_of(answer: Answered) -> str:
    """What the answer says, without the page around it."""
    text = answer.body.decode()
    said = re.search(r"<(section|p)\b[^>]*data-notice.*?</\1>", text, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", said[0] if said else "")).split())


def decider(verb: str) -> Callable[[Player], Iterator[Told]]:
    def play(player: Player) -> Iterator[Told]:
        for at, numbers in player.rounds():
            for number in player.rng.sample(numbers, len(numbers)):
                yield player.ask(at, number, verb, revision=1)

    return play


def editor(player: Player) -> Iterator[Told]:
    for at, numbers in player.rounds():
        for number in numbers:
            yield player.ask(at, number, "edit", revision=1, scan="full")


def bulk(player: Player) -> Iterator[Told]:
    """Approve some of the round's actions at once; each row is told by itself."""
    for at, numbers in player.rounds():
        share = player.spec.get("share", 1.0)
        chosen = player.rng.sample(numbers, max(1, int(len(numbers) * share)))
        fields = {"verb": "approve", "comment": "contest", "next": "/action-center/pending",
                  "idempotency_key": f"{player.name}-{at}", "selected": [f"{number}:1" for number in chosen]}  # fmt: skip
        told = player.send("/action-center/bulk", fields, NOTICE, round=at)
        rows = dict(re.findall(r"A-(\d+) (.*?)(?= A-\d+ | Follow how far|$)", told["text"]))
        for number in chosen:
            text = rows.get(str(number), told["text"])
            lost = told["status"] if told["status"] != 200 else 409
            yield {
                **told,
                "action": number,
                "text": text,
                "status": 200 if text.endswith(" Approved.") else lost,
            }


def sweeper(player: Player) -> Iterator[Told]:
    """Let each action expire while people decide, and write the expiry down.

    However long a request takes here: expiry comes later where it won before, and sooner where it lost.
    """
    lead = 40.0
    for _, numbers in player.rounds():
        round_of = Action.objects.filter(pk__in=numbers)
        round_of.update(expires_at=Now() + timedelta(milliseconds=lead * player.rng.uniform(0.5, 1.5)))
        player.gate.wait(PATIENCE)
        while round_of.filter(decision=Decision.PENDING).exists():
            Action.objects.expire_due(by=SYSTEM)
        lead = min(2 * lead, 5000) if round_of.filter(decision=Decision.EXPIRED).exists() else lead / 2
    yield from ()


def before_expiry(player: Player) -> Iterator[Told]:
    for at, numbers in player.rounds():
        player.gate.wait(PATIENCE)
        time.sleep(player.rng.uniform(0, 0.04))
        yield player.ask(at, numbers[0], "approve", revision=1)


def undoer(player: Player) -> Iterator[Told]:
    """Try until it is undone, by whomever: while it runs that is refused. Before, it would only be cancelled."""
    for at, numbers in player.rounds():
        for number in numbers:
            while Action.objects.filter(pk=number, execution=Execution.QUEUED).exists():
                time.sleep(0.001)
            told = player.ask(at, number, "undo")
            while told["status"] == 409 and "undone by" not in told["text"]:
                yield told
                told = player.ask(at, number, "undo")
            yield told


def runner(player: Player) -> Iterator[Told]:
    """Run what was approved beforehand, one action a round."""
    for _, numbers in player.rounds():
        waiting = Action.objects.filter(pk__in=numbers, history_at=None)
        while waiting.exists():
            loop.drain(by=SYSTEM, limit=1)
            Attempt.objects.filter(ended_at=None, state=AttemptState.POLLING).update(next_poll_at=Now())
    housekeeping.tidy(by=SYSTEM)
    yield from ()


def same_form(player: Player) -> Iterator[Told]:
    """Everybody is one person, sending one form per action."""
    for at, numbers in player.rounds():
        for number in numbers:
            fields = {"comment": "contest", "next": "/action-center/pending", "revision": "1",
                      "idempotency_key": f"form-{number}"}  # fmt: skip
            assert player.visitor is not None
            answer = player.visitor.post(f"/action-center/actions/{number}/approve", fields, into=BESIDE_LIST)
            yield {"round": at, "action": number, "status": answer.status, "body": answer.body.decode(),
                   "headers": {name: answer.headers.get(name) for name in ("HX-Trigger", "HX-PTag", "Content-Type")}}  # fmt: skip


WAYS: dict[str, Callable[[Player], Iterator[Told]]] = {
    **{verb: decider(verb) for verb in ("approve", "reject", "undo")},
    "edit": editor,
    "bulk": bulk,
    "sweeper": sweeper,
    "before expiry": before_expiry,
    "undoer": undoer,
    "runner": runner,
    "same form": same_form,
}


def main() -> None:
    spec = json.load(sys.stdin)
    fork = multiprocessing.get_context("fork")
    gate, answers = fork.Barrier(len(spec["players"])), fork.SimpleQueue()
    visitors = [_visitor(each.get("user")) for each in spec["players"]]

    def work(at: int, each: dict[str, Any]) -> None:
        visitor, rng = visitors[at], random.Random(f"{spec['seed']}-{at}")
        name = visitor.user.shown_name if visitor else each["way"]
        player = Player(name, each["way"], visitor, rng, gate, spec)
        PLANTED[spec["planted"]]()
        try:
            answers.put(list(WAYS[each["way"]](player)))
        except Exception:  # noqa: BLE001 - whatever it is, nobody must wait for this player
            gate.abort()
            answers.put([{"broken": traceback.format_exc()}])
        connections.close_all()

    # Each process opens a connection of its own: none is open at the fork.
    connections.close_all()
    people = [fork.Process(target=work, args=pair) for pair in enumerate(spec["players"])]
    for person in people:
        person.start()
    told = [one for _ in people for one in answers.get()]
    for person in people:
        person.join()
    sys.stdout.write(json.dumps(told))


def _visitor(user: int | None) -> Visitor | None:
    """Signed in, with one page seen: what a session writes at its first request is done."""
    if user is None:
        return None
    visitor = Visitor.signed_in(User.objects.get(pk=user))
    visitor.get("/action-center/pending")
    return visitor
