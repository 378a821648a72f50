"""A process that dies in the middle of a request leaves all or nothing; sent again, the form is done once."""

import pytest

from actioncenter.accounts.models import Answer
from tests import factories
from tests.actions.real_processes import in_processes
from tests.contests import checks
from tests.contests.dying import POINTS


@pytest.mark.sampled(1)
def test_killed_inside_it_can_be_repeated(shared_database: str) -> None:
    numbers = {point: factories.waiting_action().pk for point in POINTS}
    spec = {"user": factories.person("mira").pk, "actions": numbers}
    ended = in_processes("tests.contests.dying", shared_database, spec)

    assert [point for point in POINTS if not ended[point]["died"]] == []
    assert checks.answers([one for each in ended.values() for one in each["told"]], numbers.values()) == []
    assert Answer.objects.count() == len(POINTS)
