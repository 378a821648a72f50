import pytest
from django.db import connection, transaction

from actioncenter.audit import log, triggers
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event


@pytest.mark.parametrize("turn", ["first", "second"])
@pytest.mark.django_db(transaction=True)
def test_transactional_tests_start_with_an_empty_and_guarded_log(turn: str) -> None:
    """Whichever runs second would see the other's row, or no triggers."""
    with transaction.atomic():
        log.record(Kind.USER_CREATED, by=Actor.system("tests"), subject="user:1", subject_name=turn)

    assert Event.objects.count() == 1
    assert triggers.missing(connection) == []
