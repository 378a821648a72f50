"""The drawn state diagrams are those of the code."""

from pathlib import Path

import pytest

from actioncenter.actions.enums import DECISION_NEXT, EXECUTION_NEXT, LEGAL_PAIRS, Decision, Execution
from actioncenter.ops import diagrams

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == diagrams.render(), "run `python3 manage.py diagrams`"


@pytest.mark.parametrize("decision", list(Decision), ids=lambda state: state.name)
def test_every_decision_has_its_transitions(decision: Decision) -> None:
    assert decision in DECISION_NEXT
    assert decision in LEGAL_PAIRS


@pytest.mark.parametrize("execution", list(Execution), ids=lambda state: state.name)
def test_every_execution_has_its_transitions(execution: Execution) -> None:
    assert execution in EXECUTION_NEXT
