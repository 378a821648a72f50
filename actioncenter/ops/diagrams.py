"""The state diagrams of the documentation, drawn from the tables that the code obeys."""

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from actioncenter.actions.enums import DECISION_NEXT, EXECUTION_NEXT, LEGAL_PAIRS, Decision, Execution

State = TypeVar("State", bound=IntEnum)

HEAD = """# States of an action

Drawn from `actioncenter/actions/enums.py` by `manage.py diagrams`; a test fails when this page is stale.
"""


def render() -> str:
    """The whole of docs/states.md."""
    return "\n".join(
        [
            HEAD,
            "## Decision: who allowed it",
            _diagram(DECISION_NEXT, [Decision.NOT_REQUIRED, Decision.PENDING]),
            "## Execution: what happened",
            _diagram(EXECUTION_NEXT, [Execution.NONE]),
            "## Which pairs are legal",
            _pairs(),
        ]
    )


def _diagram(table: Mapping[State, frozenset[State]], starts: list[State]) -> str:
    lines = ["", "```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {start.name.lower()}" for start in starts]
    for state, following in table.items():
        lines += [f"    {state.name.lower()} --> {after.name.lower()}" for after in sorted(following)]
        if not following:
            lines.append(f"    {state.name.lower()} --> [*]")
    return "\n".join([*lines, "```", ""])


def _pairs() -> str:
    lines = ["", "| decision | execution |", "|---|---|"]
    for decision, executions in LEGAL_PAIRS.items():
        words = ", ".join(execution.name.lower() for execution in sorted(executions))
        lines.append(f"| {decision.name.lower()} | {words} |")
    return "\n".join([*lines, ""])
