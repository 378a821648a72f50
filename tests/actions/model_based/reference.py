"""What design §3 says of an action, in plain words and without the product's code.

A twin answers every request with whether it must be accepted, and becomes what the action must
become. What a runner finds out is not foretold; it is judged against the tables and the truth.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

OPEN_DECISION = "pending"
ALLOWED = {"not_required", "approved"}
FINAL = {"rejected", "expired", "withdrawn"}
RUNNING = {"queued", "in_progress", "outcome_unknown"}
ENDS = {"succeeded", "partly_succeeded", "failed", "timed_out", "cancelled"}
AGAIN = {"failed", "timed_out", "partly_succeeded"}

NEXT: Mapping[str, set[str]] = {
    "none": {"queued"},
    "queued": {"in_progress", "cancelled", "timed_out", "partly_succeeded", "failed"},
    "in_progress": ENDS | {"outcome_unknown", "queued"},
    "outcome_unknown": ENDS | {"queued"},
    "succeeded": set(),
    "partly_succeeded": {"queued"},
    "failed": {"queued"},
    "timed_out": {"queued"},
    "cancelled": set(),
}
GOOD = {"succeeded", "already", "gone"}
BAD = {"failed", "timed_out", "cancelled"}
OVER = GOOD | BAD
RUNNER_MAY: Mapping[str, set[str]] = {
    "queued": {"queued", "in_progress", "unknown"} | OVER,
    "in_progress": {"queued", "in_progress", "unknown"} | OVER,
    # Never back to the queue by itself: that would be a blind second run.
    "unknown": {"unknown"} | OVER,
}
NOT_TAKEN_BACK = {"failed", "timed_out", "partly_succeeded"}
"""Ends of an undo after which the rest may be undone anew."""


def execution_of(targets: Iterable[str]) -> str:
    """What an action that may run is, by its targets (domain §5.3)."""
    states = set(targets)
    for state, word in (
        ("in_progress", "in_progress"), ("unknown", "outcome_unknown"), ("queued", "queued"),
    ):  # fmt: skip
        if state in states:
            return word
    if states <= GOOD:
        return "succeeded"
    if states & GOOD:
        return "partly_succeeded"
    return next(state for state in ("failed", "timed_out", "cancelled") if state in states)


@dataclass
class Part:
    """One target. `effects` counts since it was last queued by a decision or a retry."""

    lane: str
    state: str = "queued"
    effects: int = 0
    turn: int = 0
    """The step in which it last began."""
    said: bool = False
    """A person said what became of it, so it needn't be true."""
    blocks: bool = False
    """An undo that failed here: nothing else begins until somebody has looked."""


@dataclass
class Twin:
    number: int
    kind: str
    decision: str
    quorum: int = 1
    automatic: bool = False
    undo_of: int | None = None
    execution: str = "none"
    revision: int = 1
    proposers: set[str] = field(default_factory=set)
    votes: dict[str, str] = field(default_factory=dict)
    past_expiry: bool = False
    cancelling: bool = False
    undone_by: int | None = None
    parts: dict[int, Part] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.decision in FINAL or self.execution in ENDS

    @property
    def dead(self) -> bool:
        """Nothing can come of it any more."""
        return self.decision in FINAL or self.execution == "cancelled" or self.undone_by is not None

    @property
    def held_lanes(self) -> set[str]:
        """Where nothing else may begin, or has to wait for its turn."""
        waiting = {"queued", "in_progress", "unknown"} if self.execution in RUNNING else set()
        return {part.lane for part in self.parts.values() if part.blocks or part.state in waiting}

    @property
    def _open(self) -> bool:
        return self.decision == OPEN_DECISION and not self.past_expiry

    def vote(self, person: str, way: str, revision: int, *, blocked: bool) -> bool:
        """`way` is `approved` or `rejected`; one rejection is enough. `blocked`: by an undo that failed."""
        if not self._open or revision != self.revision or person in self.votes:
            return False
        if way == "approved" and (person in self.proposers or blocked):
            return False
        self.votes[person] = way
        needed = self.quorum if way == "approved" else 1
        if sum(choice == way for choice in self.votes.values()) >= needed:
            self.decision = way
            self.execution = "queued" if way == "approved" else "none"
        return True

    def edit(self, person: str, revision: int) -> bool:
        if not self._open or revision != self.revision:
            return False
        self.revision += 1
        self.votes = {}
        self.proposers.add(person)
        return True

    def sweep(self) -> None:
        if self.decision == OPEN_DECISION and self.past_expiry:
            self.decision = "expired"

    def withdraw(self) -> bool:
        if self.decision != OPEN_DECISION:
            return False
        self.decision = "withdrawn"
        return True

    def cancel(self) -> bool:
        if self.execution not in RUNNING:
            return False
        self.cancelling = True
        return True

    def retry(self, others: "Mapping[int, Twin]") -> bool:
        if self.execution not in AGAIN or self.undone_by is not None:
            return False
        if self.undo_of is not None and others[self.undo_of].undone_by != self.number:
            return False
        for part in self.parts.values():
            if part.state in BAD:
                part.state, part.effects, part.said = "queued", 0, False
            part.blocks = False
        self.execution, self.cancelling = "queued", False
        return True

    def acknowledge(self) -> bool:
        blocking = [part for part in self.parts.values() if part.blocks]
        for part in blocking:
            part.blocks = False
        return bool(blocking)

    def resolve(self, *, happened: bool, asked: bool) -> bool:
        """`asked`: a runner is asking the far side at this moment."""
        if self.execution != "outcome_unknown" or asked:
            return False
        for part in self.parts.values():
            if part.state == "unknown":
                part.state, part.said = "succeeded" if happened else "failed", True
        self._become(execution_of(part.state for part in self.parts.values()))
        return True

    def undo(self, twins: "Mapping[int, Twin]") -> bool:
        """Whether it may be taken back now; the caller links the inverse."""
        if self.undo_of is not None or self.execution not in {"succeeded", "partly_succeeded", "queued"}:
            return False
        if self.execution == "queued" and not self.still_done(twins):
            return True
        before = twins.get(self.undone_by or 0)
        if before is not None and before.execution not in NOT_TAKEN_BACK:
            return False
        if not self.still_done(twins):
            return False
        others = [twin for twin in twins.values() if twin not in (self, before)]
        if any(twin.in_the_way(self, twins) for twin in others):
            return False
        if before is not None:
            before.acknowledge()
        return True

    def give_way(self, inverse: "Twin") -> None:
        """What was queued when it was taken back never begins, and an undo of nothing ends with it."""
        if self.execution != "queued":
            return
        queued = [part for part in self.parts.values() if part.state == "queued"]
        if {part.lane for part in inverse.parts.values()} <= {part.lane for part in queued}:
            queued += inverse.parts.values()
            inverse.execution, self.undone_by = "cancelled", None
        for part in queued:
            part.state = "cancelled"
        self._become(execution_of(part.state for part in self.parts.values()))

    def still_done(self, twins: "Mapping[int, Twin]") -> set[str]:
        """Lanes in which it did something that no undo has taken back."""
        return self.standing(twins, {"succeeded"})

    def standing(self, twins: "Mapping[int, Twin]", states: set[str]) -> set[str]:
        undos = [twin for twin in twins.values() if twin.undo_of == self.number]
        back = {part.lane for twin in undos for part in twin.parts.values() if part.state in GOOD}
        return {part.lane for part in self.parts.values() if part.state in states} - back

    def in_the_way(self, of: "Twin", twins: "Mapping[int, Twin]") -> bool:
        """Running on a lane of it, or in force there since."""
        turns = {part.lane: part.turn for part in of.parts.values()}
        there = [part for part in self.parts.values() if part.lane in turns]
        if self.execution in RUNNING and {part.state for part in there} & {
            "queued",
            "in_progress",
            "unknown",
        }:
            return True
        if self.undo_of is not None or self.execution not in {"succeeded", "partly_succeeded"}:
            return False
        standing = self.standing(twins, {"succeeded", "already"} if self.kind == of.kind else {"succeeded"})
        return any(part.lane in standing and part.turn > turns[part.lane] for part in there)

    def observe(self, states: Mapping[int, str], *, ran: bool, turn: int) -> Iterator[str]:
        """Take in what a runner has made of the targets; yields what it may not have."""
        for number, state in states.items():
            part = self.parts[number]
            if part.state == "queued" != state:
                part.turn = turn
            allowed = RUNNER_MAY.get(part.state) if ran else None
            if state not in (allowed or {part.state}):
                yield f"target {number} went from {part.state} to {state}"
            part.state = state
        if self.decision in ALLOWED:
            self._become(execution_of(part.state for part in self.parts.values()))

    def _become(self, execution: str) -> None:
        if self.undo_of is not None and execution != self.execution and execution in NOT_TAKEN_BACK:
            for part in self.parts.values():
                part.blocks = part.blocks or part.state in {"failed", "timed_out"}
        self.execution = execution

    def untruths(self) -> Iterator[str]:
        """What the targets claim and the far side knows better."""
        for number, part in self.parts.items():
            if part.effects > 1:
                yield f"target {number} was touched {part.effects} times for one decision"
            if part.said:
                continue
            if part.state in GOOD and not part.effects:
                yield f"target {number} is called {part.state}, but nothing happened"
            if part.state in BAD | {"queued"} and part.effects:
                yield f"target {number} is called {part.state}, but it happened"


def offer_again(twins: Mapping[int, Twin]) -> None:
    """An undo that was cancelled has undone nothing, so another one must be possible."""
    for twin in twins.values():
        if twin.execution == "cancelled" and twin.undo_of is not None:
            forward = twins[twin.undo_of]
            if forward.undone_by == twin.number:
                forward.undone_by = None
