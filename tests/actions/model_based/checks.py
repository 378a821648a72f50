"""What must hold after every step, read from the rows themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actioncenter.actions.enums import Decision, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget, Attempt, Vote
from actioncenter.audit.models import Event
from tests.actions.model_based.reference import ALLOWED, NEXT, Twin, offer_again

Row = dict[str, Any]
FIELDS = (
    "pk", "decision", "execution", "revision", "history_at", "target_count", "succeeded_count",
    "failed_count", "unknown_count", "undo_of_id", "undone_by_id",
)  # fmt: skip
DECIDED = {"approved", "rejected", "expired", "withdrawn"}
MOVES = {
    "approved": "queued",
    "started": "in_progress",
    "queued": "queued",
    "retried": "queued",
    "unknown": "outcome_unknown",
    "succeeded": "succeeded",
    "partly_succeeded": "partly_succeeded",
    "failed": "failed",
    "timed_out": "timed_out",
    "cancelled": "cancelled",
}
UNDID_TOO_LITTLE = {
    Execution.CANCELLED,
    Execution.FAILED,
    Execution.TIMED_OUT,
    Execution.PARTLY_SUCCEEDED,
}
"""After these another undo may have been made."""
COUNTED = {
    "succeeded": {TargetState.SUCCEEDED, TargetState.ALREADY, TargetState.GONE},
    "failed": {TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED},
    "unknown": {TargetState.UNKNOWN},
}


class Story:
    """An action as its audit stream tells it; events are only added, so each is read once."""

    def __init__(self) -> None:
        self.seq, self.decision, self.execution = 0, "", "none"

    def hear(self, event: Event) -> Iterator[str]:
        if event.seq != self.seq + 1:
            yield f"{event.stream} goes from event {self.seq} to {event.seq}"
        self.seq = event.seq
        word = event.kind.removeprefix("action.")
        if word == "proposed":
            self.decision = str((event.after or {})["decision"]).lower()
            self.execution = "queued" if self.decision in ALLOWED else "none"
            return
        if word in DECIDED:
            if self.decision != "pending":
                yield f"{event.stream} was {word} after it was {self.decision}"
            self.decision = word
        new = MOVES.get(word, self.execution)
        if new != self.execution and new not in NEXT[self.execution]:
            yield f"{event.stream} went from {self.execution} to {new}"
        self.execution = new


class Watch:
    """Everything that one run has shown so far."""

    def __init__(self) -> None:
        self.stories: dict[int, Story] = defaultdict(Story)
        self.turn = 0
        self.last_event = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    def faults(self, twins: Mapping[int, Twin], *, ran: bool) -> Iterator[str]:
        """In words. `ran`: a runner that held its lease has been at work."""
        rows: dict[int, Row] = {row["pk"]: row for row in Action.objects.values(*FIELDS)}
        targets = _by_action()
        self.turn += 1
        if rows.keys() != twins.keys():
            yield f"there are actions {sorted(rows)}, and should be {sorted(twins)}"
            return
        for number, twin in twins.items():
            states = {pk: TargetState(state).name.lower() for pk, _, state in targets[number]}
            yield from twin.observe(states, ran=ran, turn=self.turn)
            yield from twin.untruths()
        offer_again(twins)
        for number, twin in twins.items():
            yield from _same(rows[number], twin)
            yield from _counts(rows[number], [state for _, _, state in targets[number]])
        yield from _links(rows)
        yield from _lanes(targets)
        yield from _votes(twins)
        yield from self._told(rows)
        broken = Attempt.objects.filter(error__startswith="Internal error")
        yield from broken.values_list("error", flat=True)

    def _told(self, rows: Mapping[int, Row]) -> Iterator[str]:
        events = Event.objects.filter(pk__gt=self.last_event).order_by("pk")
        for event in events:
            self.last_event = event.pk
            if event.stream.startswith("action:"):
                yield from self.stories[int(event.stream.partition(":")[2])].hear(event)
        for number, row in rows.items():
            told = self.stories[number]
            now = Decision(row["decision"]).name.lower(), Execution(row["execution"]).name.lower()
            if (told.decision, told.execution) != now:
                yield f"the log says that {number} is {told.decision}, {told.execution}; it is {now}"


def _by_action() -> dict[int, list[tuple[int, str, int]]]:
    found: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for action, *rest in ActionTarget.objects.values_list("action_id", "pk", "lane", "state"):
        found[action].append((rest[0], rest[1], rest[2]))
    return found


def _same(row: Row, twin: Twin) -> Iterator[str]:
    is_now = Decision(row["decision"]).name.lower(), Execution(row["execution"]).name.lower(), row["revision"]
    expected = twin.decision, twin.execution, twin.revision
    if is_now != expected:
        yield f"action {twin.number} is {is_now}, and should be {expected}"
    if (row["history_at"] is not None) != twin.over:
        yield f"action {twin.number} is {is_now} and has history_at {row['history_at']}"
    if (row["undo_of_id"], row["undone_by_id"]) != (twin.undo_of, twin.undone_by):
        yield f"action {twin.number} is linked to {row['undo_of_id']}, {row['undone_by_id']}"


def _counts(row: Row, states: Sequence[int]) -> Iterator[str]:
    expected = {name: sum(state in group for state in states) for name, group in COUNTED.items()}
    counted = {name: row[f"{name}_count"] for name in COUNTED}
    if row["target_count"] != len(states) or counted != expected:
        yield f"action {row['pk']} counts {counted}, its targets are {expected}"


def _links(rows: Mapping[int, Row]) -> Iterator[str]:
    for number, row in rows.items():
        inverse = rows.get(row["undone_by_id"])
        if inverse and inverse["undo_of_id"] != number:
            yield f"action {number} is undone by {inverse['pk']}, which undoes {inverse['undo_of_id']}"
        forward = rows.get(row["undo_of_id"])
        if forward and row["execution"] not in UNDID_TOO_LITTLE and forward["undone_by_id"] != number:
            yield f"action {number} undoes {forward['pk']}, which is undone by {forward['undone_by_id']}"


def _lanes(targets: Mapping[int, Sequence[tuple[int, str, int]]]) -> Iterator[str]:
    every = [target for of_one in targets.values() for target in of_one]
    busy = Counter(lane for _, lane, state in every if state == TargetState.IN_PROGRESS)
    yield from (f"{number} targets run in {lane}" for lane, number in busy.items() if number > 1)


def _votes(twins: Mapping[int, Twin]) -> Iterator[str]:
    cast = Vote.objects.values_list("action_id", "revision", "user_id")
    for vote, times in Counter(cast).items():
        if times > 1:
            yield f"one person voted {times} times on action {vote[0]}"
    counted = Counter((action, revision) for action, revision, _ in cast)
    for number, twin in twins.items():
        if counted[number, twin.revision] != len(twin.votes):
            yield f"action {number} has {counted[number, twin.revision]} votes, {len(twin.votes)} were cast"
