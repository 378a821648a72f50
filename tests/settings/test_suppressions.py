"""Exclusions and Allow indicators that nobody looks at again stop keeping findings from being handled."""

import time
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from actioncenter.accounts.models import Notice
from actioncenter.actions import housekeeping
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings import facts
from actioncenter.settings.enums import IndicatorEffect, IndicatorKind
from actioncenter.settings.models import FolderExclusion, Indicator, ReviewError, Safeguards
from tests import factories

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("housekeeping")
DAY = timedelta(days=1)
HASH = "d" * 64


@pytest.fixture
def noa() -> Actor:
    return factories.person("noa").actor(proved_at=time.time())


def reviewed(age: timedelta) -> tuple[FolderExclusion, Indicator]:
    exclusion = FolderExclusion.objects.create(folder=r"D:\Builds")
    allow = Indicator.objects.create(kind=IndicatorKind.FILE_HASH, value=HASH, effect=IndicatorEffect.ALLOW)
    for row in (exclusion, allow):
        type(row).objects.filter(pk=row.pk).update(reviewed_at=Now() - age)
        row.refresh_from_db()
    return exclusion, allow


def handled() -> int:
    machine = factories.device(in_group=factories.group(f"Group {time.time_ns()}"))
    return len(
        factories.planned(
            factories.file_evidence(machine, sha256=HASH),
            factories.file_evidence(machine, path=r"D:\Builds\out\tool.exe"),
        )
    )


@pytest.mark.oversight("HO-019")
def test_suppression_expires(noa: Actor) -> None:
    Safeguards(pk=1, suppression_days=30).save()
    exclusion, allow = reviewed(30 * DAY - timedelta(minutes=1))
    assert handled() == 0

    reviewed_at = Now() - 30 * DAY
    FolderExclusion.objects.update(reviewed_at=reviewed_at)
    Indicator.objects.update(reviewed_at=reviewed_at)
    assert handled() == 2

    exclusion.renew(by=noa)
    allow.renew(by=noa, comment="Still our own tool")
    assert handled() == 0
    events = Event.objects.filter(kind=Kind.SUPPRESSION_RENEWED).order_by("pk")
    assert [(event.subject, event.actor_name) for event in events] == [
        (f"exclusion:{exclusion.pk}", "Noa Levi"),
        (f"indicator:{allow.pk}", "Noa Levi"),
    ]


def test_they_hold_for_ever_unless_a_period_is_set() -> None:
    reviewed(1000 * DAY)
    assert Safeguards.current().suppression_days == 0
    assert handled() == 0


def test_what_suppresses_nothing_never_lapses() -> None:
    Safeguards(pk=1, suppression_days=30).save()
    Indicator.objects.create(kind=IndicatorKind.IP, value="192.0.2.1", effect=IndicatorEffect.BLOCK)
    Indicator.objects.update(reviewed_at=Now() - 1000 * DAY)
    assert Indicator.objects.in_force(Safeguards.current()).count() == 1


@pytest.mark.parametrize(("before", "after"), [(0, 30), (90, 30)])
def test_a_new_period_begins_when_it_is_set(before: int, after: int, noa: Actor) -> None:
    Safeguards(pk=1, suppression_days=before).save()
    exclusion, _ = reviewed(80 * DAY)

    Safeguards.change(by=noa, suppression_days=after)

    figures = Safeguards.current()
    assert len(facts.exclusions(Safeguards.current())) == 1
    assert figures.suppressing_since is not None
    assert exclusion.review_by(figures) == figures.suppressing_since + after * DAY
    Safeguards.objects.update(suppressing_since=Now() - after * DAY)
    assert facts.exclusions(Safeguards.current()) == []


def notices() -> list[str]:
    housekeeping.tell_of_reviews(SYSTEM)
    return sorted(Notice.objects.values_list("kind", flat=True))


def test_admins_are_told_three_days_before_and_at_the_end_once_each(noa: Actor) -> None:
    Safeguards(pk=1, suppression_days=30).save()
    exclusion, _ = reviewed(27 * DAY - timedelta(minutes=1))
    assert notices() == []
    FolderExclusion.objects.update(reviewed_at=Now() - 27 * DAY)
    assert notices() == notices() == ["suppression_reminded"]
    FolderExclusion.objects.update(reviewed_at=Now() - 30 * DAY)
    assert notices() == notices() == ["suppression_lapsed", "suppression_reminded"]
    assert Event.objects.get(kind=Kind.SUPPRESSION_LAPSED).subject == f"exclusion:{exclusion.pk}"
    exclusion.renew(by=noa)
    assert housekeeping.reviews_to_tell() is False
    FolderExclusion.objects.update(reviewed_at=Now() - 28 * DAY)
    assert housekeeping.reviews_to_tell() is True


def test_nobody_but_an_admin_renews() -> None:
    exclusion, _ = reviewed(DAY)
    with pytest.raises(ReviewError, match="admin"):
        exclusion.renew(by=factories.person("mira").actor())


def test_what_was_removed_meanwhile_is_not_renewed(noa: Actor) -> None:
    exclusion, _ = reviewed(DAY)
    FolderExclusion.objects.all().delete()
    with pytest.raises(ReviewError) as gone:
        exclusion.renew(by=noa)
    assert gone.value.code == "gone"
