"""What people are told."""

import pytest

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.accounts.notices import notify, notify_admins
from actioncenter.settings.enums import Role
from tests.accounts.people import SETUP, person

pytestmark = pytest.mark.django_db


def test_everyone_named_gets_one() -> None:
    mira, tom, _ = person("mira"), person("tom"), person("ada")

    notify(
        [mira, tom], "connector.down", title="SSH is down", params={"name": "ssh"}, severity=Severity.URGENT
    )

    assert list(Notice.objects.order_by("user_id").values_list("user", "kind", "params", "severity")) == [
        (mira.pk, "connector.down", {"name": "ssh"}, Severity.URGENT),
        (tom.pk, "connector.down", {"name": "ssh"}, Severity.URGENT),
    ]


def test_admins_are_those_who_are_it_now() -> None:
    ada = person("ada", Role.ADMIN)
    person("mira", Role.RESPONDER)
    person("gone", Role.ADMIN).deactivate(by=SETUP)
    person("former", Role.ADMIN).revoke(Role.ADMIN, by=SETUP)

    notify_admins("group.level_raise_requested", title="Raise Servers to Full?", url="/settings/groups/3")

    assert [notice.user for notice in Notice.objects.all()] == [ada]


def test_read_notice_is_no_longer_unread() -> None:
    mira = person("mira")
    notify([mira], "a.b", title="one")
    notify([mira], "a.b", title="two")
    assert [notice.title for notice in mira.notices.unread().newest_first()] == ["two", "one"]

    assert mira.notices.filter(title="one").mark_read() == 1

    assert [notice.title for notice in mira.notices.unread()] == ["two"]


def test_endless_title_is_cut() -> None:
    notify([person()], "a.b", title="x" * 5000)

    assert len(Notice.objects.get().title) == 300
