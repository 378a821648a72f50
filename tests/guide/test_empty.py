"""A fresh installation explains itself: what will stand on each page, and how it gets there."""

from html import unescape

import pytest
from django.test import Client

from tests import factories

pytestmark = pytest.mark.django_db
EMPTY = {
    "/": ("What needs a decision will stand here", "Whatever does waits here until somebody has looked", "can be watched here"),
    "/action-center/pending": ("will wait here for a decision", 'href="/help/intake"'),
    "/action-center/history": ("will stand here, from the first decision on", 'href="/action-center/pending"'),
    "/investigations/": ("An investigation begins when a source sends an alert", 'href="/help/intake"'),
    "/devices/": ("once an alert names it or a host is enrolled", 'href="/help/connectors/ssh#enrolling-a-host"'),
    "/notices": ("What you should know will stand here", 'href="/help/analyst#notices"'),
    "/reports/": ("will be counted here",),
    "/action-center/handover": ("An offer will stand here", "Hand your shift over"),
    "/action-center/reviews": ("waits here for another person", "will be kept here"),
    "/action-center/views": ("Narrow Pending or History and press Save view",),
    "/settings/stops": ("Each stop and pause will stand here",),
    "/settings/feeds": ("manage.py feeds enable",),
    "/settings/feeds/clicks": ("Each use of a signed link will stand here",),
    "/audit/retention": ("keeps from being dropped will stand here",),
    "/audit/views": ("will stand here, some seconds later",),
}  # fmt: skip
"""Address -> what it says of itself, and the way on."""


@pytest.mark.parametrize("path", EMPTY)
def test_an_empty_page_says_what_will_stand_there_and_how(path: str, client: Client) -> None:
    client.force_login(factories.person("noa"))
    answer = client.get(path)
    page = unescape(answer.content.decode())

    assert answer.status_code == 200
    assert [said for said in EMPTY[path] if said not in page] == []


def test_where_nothing_fits_the_filter_is_what_is_named(client: Client) -> None:
    factories.waiting_action()
    client.force_login(factories.person("noa"))

    for path in ("/action-center/pending?q=nothing", "/investigations/?q=nothing", "/devices/?q=nothing"):
        page = client.get(path).content.decode()
        assert "/help/intake" not in page
        assert "nothing" in page
