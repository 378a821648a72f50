"""Requirement, tests, and how they ended the last time they ran."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from actioncenter.ops.oversight.catalogue import Requirement

OUTCOMES: Final = Path(".pytest_cache") / "v" / "oversight" / "outcomes"
"""Below the project; written by tests/outcomes.py through pytest's own cache."""


class State(StrEnum):
    HELD = "held"
    FAILING = "failing"
    NOT_RUN = "not run"
    NO_TEST = "no test"


WORST_FIRST: Final = (State.FAILING, State.NOT_RUN, State.HELD)
OF_OUTCOME: Final[Mapping[str, State]] = {
    "passed": State.HELD,
    "failed": State.FAILING,
    "skipped": State.NOT_RUN,
}


@dataclass(frozen=True, slots=True)
class Row:
    requirement: Requirement
    tests: Mapping[str, State]

    @property
    def state(self) -> State:
        if not self.tests:
            return State.NO_TEST
        return next(state for state in WORST_FIRST if state in self.tests.values())

    @property
    def is_broken(self) -> bool:
        return self.requirement.must_hold and self.state in (State.NO_TEST, State.FAILING)

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self.requirement),
            "state": self.state.value,
            "broken": self.is_broken,
            "tests": [{"test": node, "result": state.value} for node, state in self.tests.items()],
        }


def rows(
    wanted: Sequence[Requirement], carried: Mapping[str, Sequence[str]], outcomes: Mapping[str, str]
) -> list[Row]:
    return [Row(item, {node: _state(node, outcomes) for node in carried.get(item.id, ())}) for item in wanted]


def last_outcomes(root: Path) -> dict[str, str]:
    """Node id, parameters included -> `passed`, `failed` or `skipped`. Empty when nothing ever ran."""
    try:
        found = json.loads((root / OUTCOMES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(node: str, outcomes: Mapping[str, str]) -> State:
    """Of one test function over all its parameters: the worst."""
    found = {
        OF_OUTCOME.get(outcome, State.NOT_RUN)
        for name, outcome in outcomes.items()
        if name == node or name.startswith(f"{node}[")
    }
    return next((state for state in WORST_FIRST if state in found), State.NOT_RUN)
