"""A level that lets anything run by itself is looked at again each year."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from actioncenter.accounts.models import Notice
from actioncenter.actions import housekeeping
from actioncenter.audit import triggers
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup, LevelError, renewing
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.oversight("AL-025")]
L = AutomationLevel


def aged(level: AutomationLevel, days: float) -> DeviceGroup:
    made = factories.group(f"{level.name} {days}", level)
    DeviceGroup.objects.filter(pk=made.pk).update(created_at=Now() - timedelta(days=days))
    return made


def confirmed(group: DeviceGroup, days: float) -> None:
    """The last word on its level was so many days ago."""
    triggers.remove(connection)
    try:
        Event.objects.filter(stream=f"group:{group.pk}").update(at=Now() - timedelta(days=days))
    finally:
        triggers.install(connection)


@pytest.mark.parametrize("level", L)
def test_levels_are_confirmed_yearly(level: AutomationLevel) -> None:
    old, young = aged(level, 365.1), aged(level, 364.9)
    told = {pk for pk in renewing.overdue().values_list("pk", flat=True) if pk in (old.pk, young.pk)}
    assert told == ({old.pk} if level > L.SEMI_ALL else set())


def test_every_admin_hears_of_it_once_a_week() -> None:
    factories.person("noa")
    group = aged(L.FULL, 400)
    assert [housekeeping.tell_of_levels(factories.SETUP) for _ in range(2)] == [1, 0]
    (notice,) = Notice.objects.filter(kind=renewing.NOTICE)
    assert (notice.user.username, notice.url) == ("noa", f"/settings/groups/{group.pk}")
    assert "has been at Full since" in notice.title
    Notice.objects.update(created_at=Now() - timedelta(days=7, minutes=1))
    assert housekeeping.tell_of_levels(factories.SETUP) == 1
    group.refresh_from_db()
    assert group.automation == L.FULL


def test_confirming_it_holds_for_a_year() -> None:
    noa, group = factories.person("noa"), aged(L.FULL, 400)
    with pytest.raises(LevelError, match="password"):
        group.confirm_level(by=noa.actor())
    with pytest.raises(LevelError, match="admin"):
        group.confirm_level(by=factories.person("mira").actor(proved_at=time.time()))
    with pytest.raises(LevelError, match="since you opened"):
        group.confirm_level(by=noa.actor(proved_at=time.time()), revision=group.revision + 1)
    assert renewing.overdue().filter(pk=group.pk).exists()

    group.confirm_level(by=noa.actor(proved_at=time.time()), comment="Still right")
    assert not renewing.overdue().filter(pk=group.pk).exists()
    event = Event.objects.get(stream=f"group:{group.pk}", kind=Kind.GROUP_LEVEL_CONFIRMED)
    assert (event.after, event.detail) == ({"level": "FULL"}, {"comment": "Still right"})
    confirmed(group, 366)
    assert renewing.overdue().filter(pk=group.pk).exists()


def test_setting_it_counts_as_confirming() -> None:
    group = aged(L.FULL, 400)
    group.change_level(L.SEMI_CORE, by=factories.person("noa").actor())
    assert not renewing.overdue().filter(pk=group.pk).exists()


def test_the_page_says_when_and_an_admin_keeps_it(client: Client) -> None:
    group = aged(L.FULL, 400)
    page = f"/settings/groups/{group.pk}"
    client.force_login(factories.person("noa"))
    factories.prove(client)
    assert "Somebody has to say whether it still should be so." in client.get(page).content.decode()
    assert client.post(f"{page}/level/keep", {}).status_code == 422

    assert client.post(f"{page}/level/keep", {"revision": group.revision}).status_code == 302
    text = client.get(page).content.decode()
    assert "To be looked at again by" in text
    assert "Level Full confirmed" in text


def test_others_read_it_only(client: Client) -> None:
    group = aged(L.FULL, 400)
    client.force_login(factories.person("mira"))
    assert client.post(f"/settings/groups/{group.pk}/level/keep", {"revision": 0}).status_code == 403
    assert "level/keep" not in client.get(f"/settings/groups/{group.pk}").content.decode()
