"""The demo: everything a newcomer shall see is there, came about in the ordinary way, and comes only once."""

from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from pytest_django import DjangoDbBlocker

from actioncenter.accounts.models import User
from actioncenter.actions.enums import Decision, Execution, Source
from actioncenter.actions.execution.loop import drain
from actioncenter.actions.models import Action, Conflict
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.audit.verify import first_bad_row
from actioncenter.auditor.verification import differences
from actioncenter.ops import demo_people
from actioncenter.ops.demo import story
from actioncenter.settings.enums import AutomationLevel, Role
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from investigations.models import Device, Investigation, Mailbox
from tests import factories

pytestmark = pytest.mark.django_db
HISTORY = {
    (Decision.NOT_REQUIRED, Execution.QUEUED),
    (Decision.NOT_REQUIRED, Execution.IN_PROGRESS),
    (Decision.NOT_REQUIRED, Execution.OUTCOME_UNKNOWN),
    (Decision.NOT_REQUIRED, Execution.SUCCEEDED),
    (Decision.NOT_REQUIRED, Execution.FAILED),
    (Decision.APPROVED, Execution.SUCCEEDED),
    (Decision.APPROVED, Execution.PARTLY_SUCCEEDED),
    (Decision.REJECTED, Execution.NONE),
    (Decision.EXPIRED, Execution.NONE),
}


def load(**options: object) -> str:
    output = StringIO()
    call_command("demo", stdout=output, **options)
    return output.getvalue()


@pytest.fixture(scope="module")
def demo(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Loaded once, and rolled back after the last test: what a test itself changes ends with the test."""
    for path in Path(settings.DATA_DIR).glob("simulator.sqlite3*"):
        path.unlink()
    with django_db_blocker.unblock(), transaction.atomic():
        yield load()
        transaction.set_rollback(True)


def tables() -> Counter[str]:
    rows = (Action, Event, Device, Mailbox, Investigation, DeviceGroup, User)
    return Counter({model.__name__: model.objects.count() for model in rows})


def test_every_state_that_a_newcomer_should_see_is_there(demo: str) -> None:
    pairs = Action.objects.values_list("decision", "execution").distinct()
    found = {(Decision(decision), Execution(execution)) for decision, execution in pairs}
    waiting = Action.objects.waiting()

    assert found >= HISTORY | {(Decision.PENDING, Execution.NONE)}
    assert waiting.count() >= 30
    assert waiting.values("type").distinct().count() >= 10
    assert Action.objects.ended().count() >= 35
    assert {Source.ANTIVIRUS, Source.AUTOMATED_EMAIL, Source.MANUAL_DEVICE} <= set(
        Action.objects.values_list("source", flat=True)
    )


def test_several_people_decided_and_said_why(demo: str) -> None:
    decided = Action.objects.exclude(decided_by=None)
    rejected = Action.objects.filter(decision=Decision.REJECTED)

    assert decided.values("decided_by").distinct().count() >= 5
    assert all(action.decision_comment for action in rejected)
    assert Action.objects.filter(undone_by__isnull=False).count() == len(story.UNDONE)


def test_the_story_speaks_only_of_actions_that_exist(demo: str) -> None:
    assert all(named.find() for named in story.names())


def test_everything_stands_in_an_audit_log_that_verifies(demo: str) -> None:
    assert first_bad_row() is None
    assert list(differences()) == []
    assert Event.objects.filter(kind=Kind.DEMO_LOADED).count() == 1


def test_second_time_changes_nothing(demo: str) -> None:
    before = tables()
    assert "already" in load()
    assert tables() == before


def test_interrupted_demo_is_completed_without_doubles(monkeypatch: pytest.MonkeyPatch, demo: str) -> None:
    before = Action.objects.count(), Device.objects.count(), DeviceGroup.objects.count()
    monkeypatch.setattr("actioncenter.ops.demo.loading.is_loaded", lambda: False)
    load()
    assert (Action.objects.count(), Device.objects.count(), DeviceGroup.objects.count()) == before


def test_hostile_names_are_stored_as_they_came(demo: str) -> None:
    names = set(Action.objects.values_list("target_name", flat=True))

    assert "invoice_1123\u202efdp.exe" in names
    assert any(name.startswith("js:") and "<script>" in name for name in names)
    assert any(name.startswith("=HYPERLINK") for name in names)


def test_what_nobody_answered_stays_unknown_until_somebody_looks(demo: str) -> None:
    by = Actor.system("runner")
    unknown = Action.objects.get(execution=Execution.OUTCOME_UNKNOWN)
    drain(by=by)
    unknown.refresh_from_db()
    assert unknown.execution == Execution.OUTCOME_UNKNOWN

    sam = User.objects.get(username="sam").actor()
    unknown.resolve_unknown(by=sam, happened=True, comment="The service is gone.")
    assert unknown.execution == Execution.SUCCEEDED


def test_what_waits_can_be_approved_and_runs(demo: str) -> None:
    by = factories.actor(User.objects.get(username="noa"))
    waiting = list(Action.objects.waiting())
    for action in waiting:
        action.approve(by=by)
    drain(by=Actor.system("runner"))

    ends = Counter(Action.objects.filter(pk__in=[a.pk for a in waiting]).values_list("execution", flat=True))
    assert ends == {Execution.SUCCEEDED: len(waiting)}
    with pytest.raises(Conflict):
        waiting[0].approve(by=by)


def test_the_simulator_is_left_as_an_installation_expects_it(demo: str) -> None:
    assert ConnectorInstance.objects.get().settings == {}


def test_groups_show_every_level_and_one_is_for_few(demo: str) -> None:
    assert set(DeviceGroup.objects.values_list("level", flat=True)) == {
        level.value for level in AutomationLevel
    }
    executive = DeviceGroup.objects.get(name="Executive devices")
    sees = {
        name: Action.objects.for_user(User.objects.get(username=name)).filter(group=executive).exists()
        for name in demo_people.PEOPLE
    }
    assert {name for name, can in sees.items() if can} == {"sam", "noa", "jonas", "ivo"}


def test_password_is_printed_once_and_lets_people_in(demo: str) -> None:
    password = demo.rstrip().rpartition(" ")[2]

    assert all(user.check_password(password) for user in User.objects.all())
    assert demo_people.ensure("another one") == []
    assert User.objects.get(username="sam").roles == {Role.RESPONDER, Role.EMAIL_RESPONDER}


def test_with_a_real_connector_it_is_refused(monkeypatch: pytest.MonkeyPatch, demo: str) -> None:
    ConnectorInstance.objects.create(kind="ssh", name="Real hosts", enabled=True)
    monkeypatch.setattr("actioncenter.ops.demo.loading.is_loaded", lambda: False)
    before = tables()

    assert "was not loaded" in load()
    assert tables() == before
