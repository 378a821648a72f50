"""The tour: a few sentences above the pages that they are about, in three minutes, without scripts."""

from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from actioncenter.guide.steps import COOKIE, STEPS
from actioncenter.settings.models import ConnectorInstance
from tests import factories

pytestmark = pytest.mark.django_db
MINUTES = 3
WORDS_A_MINUTE = 238
LOOKING = 10
"""Seconds to look at what a step is about."""


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def go(client: Client, path: str) -> Any:
    return client.get(path, follow=True)


def test_it_takes_three_minutes() -> None:
    words = sum(len(f"{step.title} {step.text}".split()) for step in STEPS)

    assert words / WORDS_A_MINUTE * 60 + LOOKING * len(STEPS) <= MINUTES * 60


def test_every_step_is_a_page_and_leads_to_the_next(mira: Client) -> None:
    factories.waiting_action()  # and so an investigation
    page, path = "", "/tour/1"
    for at, step in enumerate(STEPS, start=1):
        answer = go(mira, path)
        page = unescape(answer.content.decode())
        assert resolve(answer.request["PATH_INFO"]).view_name == step.page
        assert f'data-tour="{step.mark}"' in page
        assert f"{at} of {len(STEPS)}" in page
        assert step.text in page
        path = f"/tour/{at + 1}"
        assert (f'href="{path}"' in page) == (at < len(STEPS))
        assert (f'href="/tour/{at - 1}"' in page) == (at > 1)
    assert 'href="/tour/end"' in page
    ended = go(mira, "/tour/end").content.decode()
    assert 'aria-label="Tour"' not in ended
    assert 'href="/tour/1"' in ended


def test_an_action_is_open_where_it_is_about_one(mira: Client) -> None:
    action = factories.waiting_action()

    assert mira.get("/tour/3")["Location"] == f"/action-center/pending?open={action.pk}"


def test_without_anything_to_show_it_goes_on_all_the_same(mira: Client) -> None:
    for at in range(1, len(STEPS) + 1):
        assert go(mira, f"/tour/{at}").status_code == 200


def test_who_walks_off_is_led_back(mira: Client) -> None:
    mira.get("/tour/5")
    page = mira.get("/reports/").content.decode()

    assert "You have left the tour at <b>What came of it</b>" in page
    assert 'href="/tour/5"' in page


@pytest.mark.parametrize("told", ["", "0", "9", "-1", "01", "1e3", "<b>"])
def test_a_cookie_that_means_nothing_is_no_tour(told: str, mira: Client) -> None:
    mira.cookies[COOKIE] = told

    assert 'aria-label="Tour"' not in mira.get("/").content.decode()


def test_it_is_offered_where_nothing_real_is_touched_and_exists_nowhere_else(mira: Client) -> None:
    assert 'href="/tour/1"' in mira.get("/").content.decode()
    ConnectorInstance.objects.create(kind="ssh", name="Linux hosts", enabled=True)

    page = mira.get("/").content.decode()
    assert 'href="/tour/1"' not in page
    assert "the rest is real" in page
    assert mira.get("/tour/1").status_code == 404


@pytest.mark.parametrize("number", [0, len(STEPS) + 1, 10**6])
def test_there_is_no_other_step(number: int, mira: Client) -> None:
    assert mira.get(f"/tour/{number}").status_code == 404
