"""The machine: what people, runners, clocks and switches may do, in any order."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import ActionType, Decision, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget, Attempt, Conflict
from actioncenter.actions.permissions import Refused
from actioncenter.connectors.base import Delivery
from actioncenter.settings.enums import AutomationLevel, StopKind, StopScope
from actioncenter.settings.models import Stop
from tests.actions.model_based import far_side
from tests.actions.model_based.checks import Watch
from tests.actions.model_based.far_side import Fate, Point, World
from tests.actions.model_based.reference import AGAIN, ALLOWED, RUNNING, Part, Twin
from tests.actions.model_based.runners import BY, Runner, pause
from tests.actions.model_based.stage import PEOPLE, WAYS, Stage, Way

MOST = 2
"""Actions in play at once; more blind the search (notes of the measurement: trust §0.12)."""
LONG_AGO = Now() - timedelta(minutes=5)

which = st.integers(0, 5)
person = st.sampled_from(PEOPLE)
way = st.sampled_from(WAYS)
words = st.sampled_from(["approved", "approved", "rejected"])
runner = st.integers(0, 1)
until = st.sampled_from([None, None, None, *Point])
fate = st.builds(
    Fate,
    send=st.sampled_from(["go", "go", "go", "refuse", "offline", "later"]),
    answer=st.sampled_from(["all", "all", "lost", "part"]),
    readable=st.sampled_from([True, True, False]),
)


def blocking(twin: Twin) -> bool:
    return any(part.blocks for part in twin.parts.values())


When = Callable[["Machine"], bool]


@dataclass(frozen=True)
class Step:
    """Something that may happen. Hypothesis's own choice of rules leaves most of them out of a run,
    and then runs don't get far; so there is one rule, and it chooses by weight."""

    weight: int
    when: When
    given: st.SearchStrategy[dict[str, Any]]


STEPS: dict[str, Step] = {}


def step(weight: int = 2, when: When = lambda machine: True, **given: Any) -> Callable[[Any], Any]:
    def register(method: Any) -> Any:
        STEPS[method.__name__] = Step(weight, when, st.fixed_dictionaries(given))
        return method

    return register


def some(test: Callable[[Twin], bool]) -> When:
    """Only while it may concern some action: steps that never can would fill the runs."""
    return lambda machine: any(test(twin) for twin in machine.twins.values())


def pending(twin: Twin) -> bool:
    return twin.decision == "pending"


def running(twin: Twin) -> bool:
    return twin.execution in RUNNING


def cancellable(twin: Twin) -> bool:
    return running(twin) and not twin.cancelling


def repeatable(twin: Twin) -> bool:
    return twin.execution in AGAIN


def unknown(twin: Twin) -> bool:
    return twin.execution == "outcome_unknown"


def undoable(twin: Twin) -> bool:
    return twin.execution in {"succeeded", "partly_succeeded", "queued"}


class Machine(RuleBasedStateMachine):
    """One run is one transaction that is rolled back, so that runs know nothing of each other."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.whole = transaction.atomic()
        self.whole.__enter__()
        self.twins: dict[int, Twin] = {}
        self.pages: dict[tuple[str, int], Action] = {}
        self.runners = [Runner("first"), Runner("second")]
        self.watch = Watch()
        self.faults: list[str] = []
        self.keys: set[tuple[str, int]] = set()
        self.stop: Stop | None = None
        self.lowered = False
        self.over: set[int] = set()
        self.ran = False

    def teardown(self) -> None:
        for each in self.runners:
            each.die()
        transaction.set_rollback(True)
        self.whole.__exit__(None, None, None)

    @rule(data=st.data())
    def happens(self, data: st.DataObject) -> None:
        possible = [name for name, each in STEPS.items() if each.when(self) for _ in range(each.weight)]
        name = data.draw(st.sampled_from(possible), "step")
        getattr(self, name)(**data.draw(STEPS[name].given, "with"))

    # what comes about

    @initialize(
        delivery=st.sampled_from(Delivery), way=way, devices=st.integers(1, 2), quorum=st.integers(1, 2)
    )
    def begin(self, delivery: Delivery, way: Way, devices: int, quorum: int) -> None:
        self.stage.deliver(delivery)
        far_side.enter(World(delivery, pause, self._touched))
        self._propose(way, devices, quorum)

    @step(
        4,
        when=lambda self: self.live < MOST and len(self.twins) < 8,
        way=way,
        devices=st.integers(1, 2),
        quorum=st.integers(1, 2),
    )
    def propose(self, way: Way, devices: int, quorum: int) -> None:
        self._propose(way, devices, quorum)

    @property
    def live(self) -> int:
        """Proposed ones that may still come to something; the dead are only looked at."""
        return sum(twin.undo_of is None and not twin.dead for twin in self.twins.values())

    def _propose(self, way: Way, devices: int, quorum: int) -> None:
        action = self.stage.propose(way, devices=devices, quorum=quorum, key=f"form {len(self.twins)}")
        decision = way.decision.name.lower()
        self._add(action, decision, quorum=quorum, automatic=way.automatic, proposers={way.who})

    def _add(self, action: Action, decision: str, *, kind: str = "isolate", **more: Any) -> None:
        parts = {target.pk: Part(target.lane) for target in action.targets.all()}
        execution = "queued" if decision in ALLOWED else "none"
        self.twins[action.pk] = Twin(action.pk, kind, decision, execution=execution, parts=parts, **more)

    def _twin(self, at: int, likely: Callable[[Twin], bool]) -> Twin:
        """One that the step was made for, most of the time; any other must refuse it."""
        fitting = [twin for twin in self.twins.values() if likely(twin)]
        chosen = fitting if fitting and at < 4 else list(self.twins.values())
        return chosen[at % len(chosen)]

    # what people do

    @step(1, at=which, who=person, word=words)
    def decide_late(self, at: int, who: str, word: str) -> None:
        """From a page that was opened long ago, perhaps of something that is over."""
        self.decide(at, who, word, old=True)

    @step(4, when=some(pending), at=which, who=person, word=words, old=st.booleans())
    def decide(self, at: int, who: str, word: str, old: bool) -> None:
        twin = self._twin(at, pending)
        page = self._page(who, twin, old=old)
        method = page.approve if word == "approved" else page.reject
        revision = page.revision
        self._expect(
            twin.vote(who, word, revision, blocked=self._blocked(twin)),
            lambda: method(by=self.stage.actor(who), comment="Seen.", revision=revision),
        )

    @step(1, when=some(pending), at=which, who=person, old=st.booleans())
    def edit(self, at: int, who: str, old: bool) -> None:
        twin = self._twin(at, pending)
        page = self._page(who, twin, old=old)
        if twin.kind == "isolate":
            revision = page.revision
            self._expect(
                twin.edit(who, revision),
                lambda: page.edit({"hours": revision}, by=self.stage.actor(who), revision=revision),
            )

    @step(1, when=some(pending), at=which)
    def withdraw(self, at: int) -> None:
        twin = self._twin(at, pending)
        done = self._row(twin).withdraw("withdrawn_superseded", by=BY)
        self._agree(twin.withdraw(), done, "withdrawn")

    @step(1, when=some(cancellable), at=which, who=person)
    def cancel(self, at: int, who: str) -> None:
        twin = self._twin(at, cancellable)
        self._expect(twin.cancel(), lambda: self._row(twin).request_cancel(by=self.stage.actor(who)))

    @step(when=some(repeatable), at=which, who=person)
    def retry(self, at: int, who: str) -> None:
        twin = self._twin(at, repeatable)
        self._expect(twin.retry(self.twins), lambda: self._row(twin).retry(by=self.stage.actor(who)))

    @step(
        when=some(unknown),
        at=which,
        who=person,
        happened=st.booleans(),
    )
    def resolve(self, at: int, who: str, happened: bool) -> None:
        twin, by = self._twin(at, unknown), self.stage.actor(who)
        asking = Attempt.objects.filter(action=twin.number, ended_at=None, lease_until__gt=Now())
        self._expect(
            twin.resolve(happened=happened, asked=asking.exists()),
            lambda: self._row(twin).resolve_unknown(by=by, happened=happened, comment="I looked."),
        )

    @step(when=some(undoable), at=which, who=person)
    def undo(self, at: int, who: str) -> None:
        twin, by = self._twin(at, undoable), self.stage.actor(who)
        row = self._row(twin)
        inverse = self._expect(twin.undo(self.twins), lambda: row.undo(by=by, comment="It was harmless."))
        if inverse is not None:
            self._add(inverse, "not_required", kind="release", undo_of=twin.number)
            twin.undone_by = inverse.pk
            twin.give_way(self.twins[inverse.pk])

    @step(when=some(blocking), at=which, who=person)
    def acknowledge(self, at: int, who: str) -> None:
        twin, by = self._twin(at, blocking), self.stage.actor(who)
        self._expect(
            twin.acknowledge(), lambda: self._row(twin).acknowledge(by=by, comment="I have looked at it.")
        )

    def _parts(self, *, but: Twin) -> list[Part]:
        return [part for twin in self.twins.values() if twin is not but for part in twin.parts.values()]

    def _blocked(self, twin: Twin) -> bool:
        lanes = {part.lane for part in twin.parts.values()}
        return any(part.blocks and part.lane in lanes for part in self._parts(but=twin))

    # what time and switches do

    @step(1, when=some(pending), at=which, sweeper=st.booleans())
    def expiry_passes(self, at: int, sweeper: bool) -> None:
        """It must be as good as rejected at once, whether or not anybody has written it."""
        twin = self._twin(at, pending)
        if Action.objects.filter(pk=twin.number, decision=Decision.PENDING).update(expires_at=LONG_AGO):
            twin.past_expiry = True
        if sweeper:
            housekeeping.expire(BY)
            for each in self.twins.values():
                each.sweep()

    @step(3, when=some(running))
    def time_passes(self) -> None:
        """What waits for a moment is due."""
        Attempt.objects.filter(ended_at=None, next_poll_at__isnull=False).update(next_poll_at=LONG_AGO)
        ActionTarget.objects.update(not_before=None)

    @step(when=some(running))
    def leases_end(self) -> None:
        Attempt.objects.filter(ended_at=None, lease_until__isnull=False).update(lease_until=LONG_AGO)

    @step(1, when=lambda self: self.stop is None)
    def pull_the_switch(self) -> None:
        self.stop = Stop.pull(StopKind.STOP, StopScope.ALL, by=self.stage.actor("noa"))

    @step(3, when=lambda self: self.stop is not None)
    def resume(self) -> None:
        if self.stop is not None:
            self.stop.lift(by=self.stage.actor("noa"))
            self.stop = None

    @step(1, when=lambda self: not self.lowered and any(twin.automatic for twin in self.twins.values()))
    def lower_the_level(self) -> None:
        self.stage.group.change_level(AutomationLevel.SEMI_ALL, by=self.stage.actor("noa"))
        self.lowered = True

    # what runners do

    @step(12, when=some(running), at=runner, until=until, fate=fate, due=st.sampled_from([True, True, False]))
    def work(self, at: int, until: Point | None, fate: Fate, due: bool) -> None:
        if due:
            self.time_passes()
        one = self.runners[at]
        self.over = {twin.number for twin in self.twins.values() if twin.over}
        if one.idle:
            before = {twin.number: twin.execution for twin in self.twins.values()}
            self.ran = True
            if not one.take():
                self._nothing_was_left()
                return
            self._may_begin(one, before)
        late = one.overtaken
        one.go(fate, until)
        self.ran = not late

    @step(1, when=lambda self: not all(one.idle for one in self.runners), at=runner)
    def die(self, at: int) -> None:
        self.runners[at].die()

    def _may_begin(self, one: Runner, before: dict[int, str]) -> None:
        """Nothing new is begun against a switch, a wish to cancel or a lowered level."""
        attempt = one.attempt
        if attempt is None or attempt.token > 1 or attempt.sent_at is not None:
            return
        twin = self.twins[attempt.action_id]
        taken = set(attempt.targets.values_list("lane", flat=True))
        against = {
            "the switch is pulled": self.stop is not None,
            "it is to be cancelled": twin.cancelling,
            "the level was lowered": twin.automatic and self.lowered and before[twin.number] == "queued",
            "nobody allowed it": twin.decision not in ALLOWED,
            "an undo failed there": any(part.blocks and part.lane in taken for part in self._parts(but=twin)),
        }
        self.faults += [f"action {twin.number} was begun though {why}" for why, so in against.items() if so]

    def _nothing_was_left(self) -> None:
        """A runner that finds nothing to do must be right."""
        for twin in self.twins.values():
            if twin.execution not in {"queued", "in_progress"} or self.stop is not None:
                continue
            ready = ActionTarget.objects.filter(action=twin.number, state=TargetState.QUEUED, not_before=None)
            others = [each for each in self.twins.values() if each is not twin]
            held = {lane for each in others for lane in each.held_lanes}
            if ready.exclude(lane__in=held).exists():
                self.faults.append(f"action {twin.number} could run, and no runner takes it")

    def _touched(self, key: str, target: int, kind: ActionType) -> None:
        """The far side was reached: now, or never, it must have been allowed."""
        twin = next(twin for twin in self.twins.values() if target in twin.parts)
        twin.parts[target].effects += 1
        wrong = {
            "no decision allows it": twin.decision not in ALLOWED,
            "it was over": twin.number in self.over,
            "the switch is pulled": self.stop is not None,
            "that key was used up": (key, target) in self.keys,
            "it is of another type": kind.name.partition("_")[0].lower() != twin.kind,
        }
        self.keys.add((key, target))
        self.faults += [f"action {twin.number} had an effect though {why}" for why, so in wrong.items() if so]

    # what is compared

    def _adopt(self) -> None:
        """What automation may no longer do by itself is proposed to people, once."""
        for row in Action.objects.exclude(pk__in=self.twins):
            _, _, refused = row.idempotency_key.partition("again:")
            first = self.twins.get(int(refused or 0))
            if first is not None and first.automatic and self._row(first).execution == Execution.CANCELLED:
                self._add(row, "pending", quorum=row.approval_rule["quorum"], proposers={"automation"})

    @invariant()
    def everything_agrees(self) -> None:
        if self.ran:
            self._adopt()
        found = [*self.faults, *self.watch.faults(self.twins, ran=self.ran)]
        self.ran = False
        assert not found, "; ".join(found)

    def _page(self, who: str, twin: Twin, *, old: bool) -> Action:
        """What that person has on the screen, perhaps since long ago."""
        if not old or (who, twin.number) not in self.pages:
            self.pages[who, twin.number] = self._row(twin)
        return self.pages[who, twin.number]

    def _row(self, twin: Twin) -> Action:
        return Action.objects.get(pk=twin.number)

    def _expect(self, accepted: bool, request: Callable[[], Action]) -> Action | None:
        try:
            answer = request()
        except (Conflict, Refused) as refusal:
            self._agree(accepted, False, str(refusal))
            return None
        self._agree(accepted, True, "accepted")
        return answer

    def _agree(self, expected: bool, got: bool, what: str) -> None:
        if expected != got:
            self.faults.append(f"should have been {'accepted' if expected else 'refused'}, but: {what}")
