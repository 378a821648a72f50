"""Pending and History: what stands in them, in which order, and for whom."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from actioncenter.actions import words
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action
from tests import factories
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
PENDING = "/action-center/pending"
HISTORY = "/action-center/history"


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def bands(client: Client, address: str) -> dict[str, list[int]]:
    """Key of each band -> the numbers in it."""
    shown = client.get(address).context
    return {band["key"]: [row["number"] for row in band["rows"]] for band in shown["groups"]}


def expiring_in(action: Action, span: timedelta) -> Action:
    Action.objects.filter(pk=action.pk).update(expires_at=timezone.now() + span)
    return action


def test_pending_begins_with_what_needs_a_look_then_soonest_expiry(mira: Client) -> None:
    late = expiring_in(proposed(name="a"), timedelta(days=3))
    soon = expiring_in(proposed(name="b"), timedelta(hours=1))
    unknown = put(proposed(name="c"), Decision.APPROVED, Execution.OUTCOME_UNKNOWN)

    assert bands(mira, PENDING) == {"look": [unknown.pk], "waiting": [soon.pk, late.pk]}


def test_what_is_past_its_expiry_leaves_pending_before_anybody_writes_it_down(mira: Client) -> None:
    gone = expiring_in(proposed(), timedelta(seconds=-1))

    assert bands(mira, PENDING) == {}
    assert bands(mira, HISTORY) == {"overdue": [gone.pk]}
    assert mira.get(HISTORY).context["groups"][0]["rows"][0]["result_label"] == "Expired"


def test_history_shows_what_runs_above_the_days(mira: Client) -> None:
    running = put(proposed(name="a"), Decision.APPROVED, Execution.IN_PROGRESS)
    today = put(proposed(name="b"), Decision.APPROVED, Execution.SUCCEEDED)
    older = put(proposed(name="c"), Decision.REJECTED, Execution.NONE, ago=timedelta(days=40))

    found = bands(mira, HISTORY)
    assert list(found.values()) == [[running.pk], [today.pk], [older.pk]]
    labels = [band["label"] for band in mira.get(HISTORY).context["groups"]]
    assert labels[:2] == ["Approved, not finished", "Today"]


def test_a_day_begins_at_the_persons_own_midnight(mira: Client) -> None:
    person = factories.person("mira")
    person.time_zone = "Pacific/Kiritimati"
    person.save()
    ended = put(proposed(), Decision.REJECTED, Execution.NONE, ago=timedelta(hours=30))
    there = ended.history_at.astimezone(person.zone) if ended.history_at else None

    assert list(bands(mira, HISTORY)) == [f"{there:%Y-%m-%d}"]


def test_tabs_count_exactly(mira: Client) -> None:
    proposed(name="a")
    put(proposed(name="b"), Decision.APPROVED, Execution.OUTCOME_UNKNOWN)
    put(proposed(name="c"), Decision.REJECTED, Execution.NONE)

    assert mira.get(PENDING).context["counts"] == {"pending": 2, "history": "1", "running": 1}


@pytest.mark.parametrize("kind", ActionType)
def test_every_type_has_its_row(mira: Client, kind: ActionType) -> None:
    proposed(kind)
    put(proposed(kind, name="other"), Decision.APPROVED, Execution.SUCCEEDED)

    for address in (PENDING, HISTORY):
        (row,) = mira.get(address).context["groups"][0]["rows"]
        assert row["type_label"] == CATALOGUE[kind].short
        assert row["undo"] in {"can", "oneway"}


@pytest.mark.parametrize("execution", set(Execution) - {Execution.NONE})
def test_every_state_of_execution_has_its_word(mira: Client, execution: Execution) -> None:
    put(proposed(), Decision.APPROVED, execution)

    (row,) = mira.get(HISTORY).context["groups"][0]["rows"]
    assert row["result_label"] == words.RESULTS[words.EXECUTIONS[execution]]


@pytest.mark.parametrize("decision", [Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN])
def test_every_end_of_a_decision_has_its_word(mira: Client, decision: Decision) -> None:
    put(proposed(), decision, Execution.NONE)

    (row,) = mira.get(HISTORY).context["groups"][0]["rows"]
    assert row["result_code"] == decision.name.lower()
    assert row["undo"] == "none"


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("type=soft_delete", True), ("type=isolate", False), ("entity=cluster", True), ("entity=file", False),
        ("verdict=malicious", True), ("verdict=clean", False), ("source=manual_device", True), ("source=explorer", False),
        ("q=overdue", True), ("q=OVERDUE", True), ("q=nothing", False), ("since=day", True), ("device=1", False),
        ("investigation=1", False), ("approval=00000000-0000-0000-0000-000000000000", False),
    ],
)  # fmt: skip
def test_filters_narrow_both_tabs(mira: Client, query: str, fits: bool) -> None:
    proposed(ActionType.SOFT_DELETE_EMAIL, name="Your invoice is overdue", on="3 mailboxes")
    put(
        proposed(ActionType.SOFT_DELETE_EMAIL, name="overdue again", on="2 mailboxes"),
        Decision.REJECTED,
        Execution.NONE,
    )

    for address in (PENDING, HISTORY):
        shown = mira.get(f"{address}?{query}").context
        assert bool(shown["groups"]) is fits
        assert [chip["name"] for chip in shown["chips"]] == [query.partition("=")[0]]
        assert shown["clear_url"] == address


def test_a_page_holds_as_many_rows_as_asked(mira: Client) -> None:
    for at in range(26):
        proposed(name=f"file-{at}.exe")
    sizes = {
        size["rows"]: size["url"] for size in mira.get(f"{PENDING}?sort=on&size=25").context["page"]["sizes"]
    }

    assert sizes[50] == f"{PENDING}?sort=on", "the usual size needs no saying"
    assert {rows: len(mira.get(url).context["numbers"]) for rows, url in sizes.items()} == {
        25: 25,
        50: 26,
        100: 26,
        200: 26,
    }


def test_a_hash_finds_what_was_done_to_the_file(mira: Client) -> None:
    wanted, _ = factories.waiting_actions(2)
    [link] = wanted.links.select_related("evidence")
    sha256 = link.evidence.sha256

    for text in (sha256, sha256.upper()):
        assert mira.get(f"{PENDING}?q={text}").context["numbers"] == [wanted.pk]
    assert mira.get(f"{PENDING}?q={'0' * 64}").context["numbers"] == []


@pytest.mark.parametrize("result", words.RESULTS)
def test_history_narrowed_to_one_result_shows_only_that(mira: Client, result: str) -> None:
    for state in set(Execution) - {Execution.NONE}:
        put(proposed(name=state.name), Decision.APPROVED, state)
    for decision in (Decision.REJECTED, Decision.EXPIRED, Decision.WITHDRAWN):
        put(proposed(name=decision.name), decision, Execution.NONE)
    original = put(proposed(name="taken back"), Decision.APPROVED, Execution.SUCCEEDED)
    inverse = put(proposed(ActionType.RELEASE_FILE), Decision.NOT_REQUIRED, Execution.SUCCEEDED)
    Action.objects.filter(pk=original.pk).update(undone_by=inverse)

    rows = [row for band in mira.get(f"{HISTORY}?result={result}").context["groups"] for row in band["rows"]]
    assert {row["result_code"] for row in rows} == (
        {"succeeded", "undone"} if result == "succeeded" else {result}
    )


@pytest.mark.parametrize(("period", "days"), [("day", 1), ("week", 7), ("month", 30), ("half", 183)])
def test_a_period_rolls_back_from_now(mira: Client, period: str, days: int) -> None:
    inside = put(proposed(name="a"), Decision.REJECTED, Execution.NONE, ago=timedelta(days=days, minutes=-1))
    put(proposed(name="b"), Decision.REJECTED, Execution.NONE, ago=timedelta(days=days, minutes=1))

    assert list(bands(mira, f"{HISTORY}?since={period}").values()) == [[inside.pk]]


def test_decided_by_a_person_automation_or_nobody(mira: Client) -> None:
    person = factories.person("mira")
    by_person = put(proposed(name="a"), Decision.REJECTED, Execution.NONE)
    Action.objects.filter(pk=by_person.pk).update(decided_by=person)
    alone = put(proposed(name="b"), Decision.NOT_REQUIRED, Execution.SUCCEEDED)
    nobody = put(proposed(name="c"), Decision.EXPIRED, Execution.NONE)

    for chosen, action in {person.pk: by_person, "automation": alone, "nobody": nobody}.items():
        assert list(bands(mira, f"{HISTORY}?by={chosen}").values()) == [[action.pk]]


def test_groups_of_others_are_in_no_list_and_no_count(mira: Client) -> None:
    closed = factories.closed_group()
    theirs = {"group_id": closed.pk, "group_name": closed.name}
    proposed(name="a", **theirs)
    put(proposed(name="b", **theirs), Decision.REJECTED, Execution.NONE)
    put(proposed(name="c", **theirs), Decision.APPROVED, Execution.IN_PROGRESS)

    for address in (PENDING, HISTORY):
        shown = mira.get(address).context
        assert (shown["groups"], shown["counts"]) == ([], {"pending": 0, "history": "0", "running": 0})
        assert closed.name not in dict(shown["filter"].form.fields["group"].choices).values()
    assert b"This filter was ignored" in mira.get(f"{PENDING}?group={closed.pk}").content


def test_who_is_let_into_a_group_sees_it(mira: Client) -> None:
    closed = factories.closed_group()
    action = proposed(group_id=closed.pk)
    factories.person("mira").groups.add(Group.objects.get())

    assert bands(mira, PENDING) == {"waiting": [action.pk]}


def test_somebody_without_a_role_sees_nothing(client: Client) -> None:
    proposed()
    client.force_login(factories.person("nobody"))

    assert client.get(PENDING).context["groups"] == []


@pytest.mark.parametrize("username", ["ivo", "kim"])
def test_who_may_not_decide_sees_no_boxes(client: Client, username: str) -> None:
    proposed()
    client.force_login(factories.person(username))

    assert b'name="selected"' not in client.get(PENDING).content


def test_a_row_that_one_may_not_decide_says_why(mira: Client) -> None:
    proposed(ActionType.SOFT_DELETE_EMAIL)

    (row,) = mira.get(PENDING).context["groups"][0]["rows"]
    assert (row["can_decide"], row["disabled_reason"]) == (False, "This needs the role Email responder.")


def test_every_link_keeps_the_state_of_the_list(mira: Client) -> None:
    for name in "abcdefghijklmnopqrstuvwxyz":
        proposed(name=name)
    state = "verdict=malicious&sort=-target&columns=entity&size=25"
    shown: Any = mira.get(f"{PENDING}?{state}").context

    row = shown["groups"][0]["rows"][0]
    assert row["extras"] == {"entity": "File"}
    assert row["url"] == f"{PENDING}?{state}&open={row['number']}"
    assert shown["page"]["next_url"].startswith(f"{PENDING}?{state}&page=")
    assert shown["sort_links"]["on"]["url"] == f"{PENDING}?verdict=malicious&columns=entity&size=25&sort=on"
    assert sorted(shown["hidden_state"]) == [("columns", "entity"), ("size", "25"), ("sort", "-target")]


def test_an_empty_list_names_the_filter(mira: Client) -> None:
    empty = mira.get(f"{PENDING}?verdict=suspicious&device=7").context["empty"]

    assert empty["text"] == "No action fits Verdict Suspicious, Device 7."
    assert empty["url"] == PENDING
