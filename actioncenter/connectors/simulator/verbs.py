"""The shape of a verb: which thing it acts on, what it makes of it, what is material about it.

A verb only computes; nothing but `acting` writes. So preview, effect and read-back go through the
same function and can't disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.connectors.base import Artefact, Json, Outcome, Request, Target
from actioncenter.connectors.simulator.scene import Ref, Scene, State

Edit = tuple[Ref, State | None]


@dataclass(frozen=True, slots=True)
class Case:
    """One target of a request with the thing it means and that thing's state."""

    scene: Scene
    request: Request
    target: Target
    now: float
    ref: Ref
    state: State

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.target.facts

    @property
    def before(self) -> Mapping[str, Any]:
        return self.target.before

    @property
    def assumed(self) -> bool:
        return bool(self.state.get("assumed"))


@dataclass(frozen=True, slots=True)
class Change:
    outcome: Outcome
    edits: Sequence[Edit] = ()
    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)
    error: str = ""


def _nothing(_: Case) -> list[Json]:
    return []


@dataclass(frozen=True, slots=True)
class Verb:
    """`assume` gives the state of a thing the estate never heard of; `material` names the fields
    of the state that an approval is bound to; `stages` is the number of polls of long work.
    """

    locate: Callable[[Scene, Target], Ref]
    assume: Callable[[Target], State]
    change: Callable[[Case], Change]
    says: str
    material: tuple[str, ...] = ()
    affected: Callable[[Case], list[Json]] = _nothing
    holds: Callable[[Case], bool] | None = None
    artefact: Callable[[Case], Artefact] | None = None
    stages: Callable[[Request], Sequence[str]] | None = None


def text(facts: Mapping[str, Any], *names: str) -> str:
    """The first of these facts that says something, as text."""
    for name in names:
        value = facts.get(name)
        if isinstance(value, str | int) and value != "" and not isinstance(value, bool):
            return str(value)
    return ""


def number(facts: Mapping[str, Any], name: str) -> int:
    """A count or size; evidence may hold anything under that name."""
    value = facts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def done(case: Case, want: State) -> Change:
    """The thing gets these fields. `left` lets an undo see whether somebody touched them since."""
    now = {name: case.state.get(name) for name in want}
    outcome = Outcome.ALREADY if now == want else Outcome.SUCCEEDED
    edits = [(case.ref, {**case.state, **want})] if outcome is Outcome.SUCCEEDED else []
    return Change(outcome, edits, before={**now, "left": want}, after=want)


def failed(error: str, **after: Any) -> Change:
    return Change(Outcome.FAILED, after=after, error=error)


def sets(**want: Any) -> Callable[[Case], Change]:
    return lambda case: done(case, want)


def restores(**defaults: Any) -> Callable[[Case], Change]:
    """The inverse of `sets`: back to what was recorded, else to the default; None has no default."""

    def change(case: Case) -> Change:
        want = {name: case.before.get(name, default) for name, default in defaults.items()}
        if any(want[name] is None and name not in case.before for name in want):
            return failed("nothing_recorded: there is no record of what to restore")
        now = {name: case.state.get(name) for name in want}
        left = case.before.get("left")
        if now != want and left is not None and now != left:
            return failed("conflict: it was changed since and is left as it is", **now)
        return done(case, want)

    return change


def decide(verb: Verb, case: Case) -> Change:
    """What the verb makes of the case, a thing that went away by itself included."""
    if case.state.get("gone"):
        if CATALOGUE[case.request.type].is_inverse:
            return failed("gone: it no longer exists and can't be restored")
        return Change(Outcome.GONE, after={"gone": True})
    return verb.change(case)


def holds(verb: Verb, case: Case) -> bool:
    """Whether the wanted state is there. Gone is as good as removed, but never as good as restored."""
    if verb.holds is not None:
        return verb.holds(case)
    return decide(verb, case).outcome in {Outcome.ALREADY, Outcome.GONE}
