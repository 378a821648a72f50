"""Parts describe themselves; one with other keys than the rest is told of and dispatches nothing."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from pytest_django import Settings

from actioncenter.accounts.models import Notice
from actioncenter.actions import dispatch, housekeeping
from actioncenter.actions.execution import auditing, loop
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.ops import presence
from actioncenter.settings import describing
from actioncenter.settings.models import Host, Stop
from tests import factories
from tests.actions.conftest import RUNNER, estate
from tests.actions.looks import Twice

__all__ = ["estate"]
pytestmark = pytest.mark.django_db
KEYS = sorted(describing.KEYS)


def described(part: str = "runner") -> Host:
    describing.describe(part, by=Actor.system(part))
    return Host.objects.get(part=part)


def other(settings: Settings, name: str) -> None:
    setting = describing.KEYS[name]
    now = getattr(settings, setting)
    setattr(settings, setting, now[::-1])


def test_a_part_says_what_it_is_and_no_key() -> None:
    row = described("web")
    assert sorted(row.keys) == KEYS
    assert row.version == "0.1.0"
    assert row.skew is not None
    assert abs(row.skew) < 2
    said = json.dumps(row.keys)
    assert all(len(text) == 16 for text in row.keys.values())
    assert describing.settings.SECRET_KEY not in said
    assert describing.differing() == []


@pytest.mark.parametrize("name", KEYS)
def test_other_keys_are_told_once_and_dispatch_nothing(name: str, settings: Settings, estate: Estate) -> None:
    noa = factories.person("noa")
    described("web")
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor())
    other(settings, name)
    described()
    described()
    assert describing.differing() == [name]
    assert Notice.objects.filter(user=noa, kind="keys.differ", severity=3).count() == 1
    told = [{"keys": [name]}] if name != "audit.key" else []
    assert [event.detail for event in Event.objects.filter(kind="keys.differ")] == told
    loop.drain(by=RUNNER)
    assert sum(estate.effects().values()) == 0
    assert action.attempts.count() == 0


def test_with_another_audit_key_nothing_is_written_that_would_look_forged(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an event nor a stop over what this host can't verify."""
    monkeypatch.setattr(housekeeping.connection, "close", lambda: None)
    described("web")
    factories.waiting_action()
    right, before = settings.AUDIT_KEY, Event.objects.count()
    asked: list[int] = []
    chore = housekeeping.Chore("any", 0, lambda: asked.append(1) is not None, lambda _: 0)
    other(settings, "audit.key")
    described()
    with pytest.raises(log.ForeignKey):
        auditing.stop_everything(RUNNER)
    housekeeping.run_until(Twice(), by=RUNNER, chores=[chore])
    assert (Event.objects.count(), Stop.objects.count(), asked) == (before, 0, [])

    settings.AUDIT_KEY = right
    housekeeping.run_until(Twice(), by=RUNNER, chores=[chore])
    with transaction.atomic():
        log.record(Kind.SETTING_CHANGED, by=RUNNER, subject="group:1")
    assert (auditing.broken(), asked) == ([], [1, 1])


def test_the_first_keys_stay_the_right_ones_until_somebody_says_otherwise(settings: Settings) -> None:
    described("web")
    other(settings, "audit.key")
    described("web")
    with pytest.raises(SystemExit):
        call_command("hosts", stdout=StringIO())
    with pytest.raises(CommandError, match="Say why"):
        call_command("hosts", "--accept-keys", stdout=StringIO())
    out = StringIO()
    call_command("hosts", "--accept-keys", "--reason", "Rotated", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["differs_here"], [row["differs"] for row in told["hosts"]]) == ([], [[]])
    assert Event.objects.get(subject="keys").detail["comment"] == "Rotated"
    with pytest.raises(describing.KeysError):
        describing.take_for_the_installations(by=factories.person("mira").actor(), comment="Mine")


def test_a_web_server_describes_itself_and_counts_what_was_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence.connection, "close", lambda: None)
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    dispatch.take_lost()

    def broken(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(dispatch.app, "send_task", broken)
    dispatch.wake([1])
    dispatch.wake(list(range(150)))
    assert dispatch.courier.rest(30)
    for _ in range(2):
        presence.say("web")
    assert Host.objects.get(part="web").wakes_lost == 3
    monkeypatch.setattr(describing, "describe", broken)
    dispatch.wake([1])
    assert dispatch.courier.rest(30)
    presence.say("web")
    assert dispatch.take_lost() == 1, "it is said later"
