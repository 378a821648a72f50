"""A range of times in a zone of one's choice, on both tabs and in their addresses."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action
from tests import factories
from tests.actions.test_pages_lists import HISTORY, PENDING, bands
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
OSLO = "zone=" + quote("Europe/Oslo", safe="")


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def ended(at: datetime) -> Action:
    action = put(proposed(name=str(at)), Decision.REJECTED, Execution.NONE)
    Action.objects.filter(pk=action.pk).update(history_at=at, decided_at=at)
    return action


def found(client: Client, query: str, tab: str = HISTORY) -> list[int]:
    return sorted(number for numbers in bands(client, f"{tab}?{query}").values() for number in numbers)


def test_it_begins_with_its_first_moment_and_ends_before_its_last(mira: Client) -> None:
    """In Oslo's winter 08:00 is 07:00 UTC."""
    actions = [ended(datetime(2026, 1, 15, hour, tzinfo=UTC)) for hour in (6, 7, 8, 9)]
    before, first, inside, end = (action.pk for action in actions)

    assert found(mira, f"after=2026-01-15T08:00&before=2026-01-15T10:00&{OSLO}") == [first, inside]
    assert found(mira, f"after=2026-01-15T08:00&{OSLO}") == [first, inside, end]
    assert found(mira, f"before=2026-01-15T08:00&{OSLO}") == [before]


def test_summer_time_counts(mira: Client) -> None:
    at = ended(datetime(2026, 7, 15, 6, 30, tzinfo=UTC)).pk

    assert found(mira, f"after=2026-07-15T08:00&{OSLO}") == [at]
    assert found(mira, "after=2026-07-15T08:00&zone=UTC") == []


def test_without_a_zone_it_is_ones_own_and_the_address_names_it(mira: Client) -> None:
    """So that whoever gets the address sees the same rows."""
    person = factories.person("mira")
    person.time_zone = "Asia/Tokyo"
    person.save()
    at = ended(datetime(2026, 1, 15, 0, 30, tzinfo=UTC)).pk

    assert found(mira, "after=2026-01-15T09:00") == [at]
    assert found(mira, "after=2026-01-15T10:00") == []
    address = mira.get(f"{HISTORY}?after=2026-01-15T09:00").context["list_url"]
    assert "zone=Asia%2FTokyo" in address


def test_on_pending_it_means_when_it_was_proposed(mira: Client) -> None:
    action = proposed()
    Action.objects.filter(pk=action.pk).update(created_at=datetime(2026, 1, 15, tzinfo=UTC))

    assert found(mira, "before=2026-01-16T00:00&zone=UTC", PENDING) == [action.pk]
    assert found(mira, "after=2026-01-16T00:00&zone=UTC", PENDING) == []


@pytest.mark.parametrize("zone", ["Europe/Oslo", "UTC"])
def test_it_is_shown_and_taken_off_as_chips(mira: Client, zone: str) -> None:
    chips = mira.get(f"{HISTORY}?after=2026-01-15T08:00&zone={zone}").context["chips"]

    assert [(chip["name"], str(chip["value"])) for chip in chips] == [
        ("after", "2026-01-15 08:00"),
        ("zone", zone),
    ]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("after=yesterday", "Write it as 2026-11-30T08:00."),
        ("before=2026-02-30T08:00", "Write it as 2026-11-30T08:00."),
        ("after=0001-01-01T00:00", "Choose a year of this century."),
        ("after=2026-01-15T08:00&zone=Mars/Base", "Name a zone such as Europe/Oslo."),
        ("after=2026-01-15T08:00&zone=../../etc/passwd", "Name a zone such as Europe/Oslo."),
    ],
)
def test_what_means_nothing_is_said_and_ignored(mira: Client, query: str, says: str) -> None:
    answer = mira.get(f"{HISTORY}?{query}")

    assert answer.status_code == 400
    assert says in answer.content.decode()


@pytest.mark.parametrize("tab", [PENDING, HISTORY])
def test_everything_else_that_narrows_the_list_stays(mira: Client, tab: str) -> None:
    hidden: list[tuple[str, Any]] = mira.get(f"{tab}?verdict=malicious&sort=-age").context["hidden_range"]

    assert ("verdict", "malicious") in hidden
    assert not {"after", "before", "zone"} & {name for name, _ in hidden}
