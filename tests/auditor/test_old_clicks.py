"""Who followed a signed link is kept as long as its own rule says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.auditor import purging
from actioncenter.feeds.enums import ClickResult
from actioncenter.feeds.models import Click
from actioncenter.settings.models import Retention
from tests.auditor.aging import REAL, archive, purged
from tests.auditor.lives import by

__all__ = ["archive"]
pytestmark = [REAL, pytest.mark.usefixtures("archive")]


def clicked(days: int) -> Click:
    at = timezone.now() - timedelta(days=days)
    return Click.objects.create(at=at, url="http://evil.example/", result=ClickResult.STOPPED)


def kept() -> set[int]:
    return set(Click.objects.values_list("pk", flat=True))


def told() -> list[int]:
    events = Event.objects.filter(kind=Kind.RETENTION_PURGED, subject_name="Log of clicks").order_by("pk")
    return [(event.detail or {})["clicks"] for event in events]


def test_clicks_go_after_half_a_year_and_the_log_says_how_many() -> None:
    clicked(200)
    clicked(182)
    new = clicked(178)
    assert purging.is_due()

    assert purged() == 1

    assert kept() == {new.pk}
    assert told() == [2]
    assert not purging.is_due()
    assert purged() == 0
    assert told() == [2], "nothing to tell of"


def test_the_rule_can_be_changed() -> None:
    old, new = clicked(40), clicked(20)
    assert not purging.is_due()

    waits = Retention.change(by=Actor.command("retention"), click_days=30)
    assert waits is not None
    waits.agree(by=by("noa"))
    purged()
    assert kept() == {new.pk}
    assert old.pk not in kept()


def test_many_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "VIEWS", 2)
    for _ in range(5):
        clicked(200)

    purged()
    assert kept() == set()
    assert told() == [2, 2, 1]
