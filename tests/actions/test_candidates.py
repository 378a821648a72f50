"""How what may start is looked for: row by row, whatever PostgreSQL believes of its tables."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from actioncenter.actions.execution import candidates
from actioncenter.actions.execution.candidates import QUESTIONS, Question
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.web.statements import Compiled, Late

pytestmark = pytest.mark.postgres


def plan_of(question: Question) -> str:
    return explained(candidates._written(question, frozenset(), 50, False))


def explained(statement: Compiled | None) -> str:
    """Where every table was analysed while it was empty, as on the first day of an installation."""
    assert statement is not None
    sql, params = statement
    given = ["[]" if isinstance(value, Late) else value for value in params]
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) actions_action, actions_actiontarget")
        cursor.execute(f"EXPLAIN {sql}", given)
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__.strip("_"))
def test_no_row_is_compared_with_every_other(on_postgres: str, question: Question) -> None:
    told = plan_of(question)

    assert "Anti Join" not in told
    assert "Semi Join" not in told


@pytest.mark.parametrize("statement", [candidates._anything, candidates._of_these])
def test_nor_where_little_is_asked_for(on_postgres: str, statement: Callable[[], Compiled | None]) -> None:
    told = explained(statement())

    assert "Anti Join" not in told
    assert "Semi Join" not in told


def joined(stops: candidates.Stops) -> "QuerySet[Action]":
    """The mistake that this looks for."""
    return Action.objects.filter(Exists(ActionTarget.objects.filter(action=OuterRef("pk"))))


def test_a_join_would_be_seen(on_postgres: str) -> None:
    assert "Semi Join" in plan_of(joined)
