"""The pane: why, what it touches, what happened, and which buttons there are."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.actions import words
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, TargetState
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.actions.queries.details import EVENTS_SHOWN, TARGETS_SHOWN
from actioncenter.actions.timeline import TOLD
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import ApprovalRule
from tests import factories
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
PANE = {"HX-Request": "true", "HX-Target": "aside#pane"}


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def pane(client: Client, action: Action) -> dict[str, Any]:
    shown: dict[str, Any] = client.get(f"/action-center/actions/{action.pk}").context["action"]
    return shown


def test_the_pane_says_why_it_waits(mira: Client) -> None:
    shown = pane(mira, factories.waiting_action())

    assert shown["title"].startswith("Quarantine file svchost_update.exe on fin-lt-")
    assert shown["sentence"] == (
        "Waiting because Finance laptops is set to Semi – all folders, which asks for every folder."
    )
    assert shown["reversibility"]["text"] == "Can be undone for 30 days."
    assert [item["name"] for item in shown["evidence"]] == ["svchost_update.exe"]
    assert {fact["label"]: fact["value"] for fact in shown["facts"]}[
        "Group"
    ] == "Finance laptops, Semi – all folders"
    assert [name for name, may in shown["can"].items() if may] == ["approve", "reject"]
    assert shown["comment_required_for"] == [
        "reject", "undo", "break-glass", "acknowledge", "seen", "again", "extend", "happened", "not-happened",
    ]  # fmt: skip


def test_both_clocks_are_shown(mira: Client) -> None:
    action = factories.waiting_action()
    shown = pane(mira, action)
    assert (shown["answer_text"], shown["expires"]) == ("Answer due in", "6d")

    Action.objects.filter(pk=action.pk).update(answer_by=timezone.now() - timedelta(hours=3))
    shown = pane(mira, action)
    assert (shown["answer_text"], shown["answer"]) == ("Answer overdue by", "3h")


def test_the_whole_story_from_approval_to_undo(mira: Client, run: Callable[..., None]) -> None:
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor(), comment="Known bad")
    run(action)
    inverse = action.undo(by=factories.person("sam").actor(), comment="It was ours")
    run(inverse)

    shown = pane(mira, action)
    assert shown["result_label"] == "Undone"
    assert shown["decision"]["comment"] == "Known bad"
    assert [event["text"] for event in shown["timeline"]][0:2] == ["Proposed", "Approved"]
    assert shown["timeline"][-1]["note"] == "It was ours"
    assert shown["targets"][0]["state_label"] == "Succeeded"
    assert shown["attempts"][0]["text"] == "Finished through Simulator"
    assert shown["sentence"].startswith("Waited because")
    assert pane(mira, inverse)["undo_of"]["label"] == action.label
    assert pane(mira, inverse)["sentence"] == "Takes back Stop and quarantine, asked for by Sam Okoye."


@pytest.mark.parametrize("kind", ActionType)
def test_every_type_says_whether_it_can_be_undone(mira: Client, kind: ActionType) -> None:
    shown = pane(mira, proposed(kind))

    entry = CATALOGUE[kind]
    expected = "none" if entry.is_inverse else "can" if entry.inverse else "oneway"
    assert shown["reversibility"]["kind"] == expected


@pytest.mark.parametrize("execution", set(Execution) - {Execution.NONE})
def test_every_state_has_its_pane(mira: Client, execution: Execution) -> None:
    action = put(proposed(), Decision.APPROVED, execution)
    Action.objects.filter(pk=action.pk).update(code="device_offline")

    shown = pane(mira, action)
    assert shown["result_label"] == words.RESULTS[words.EXECUTIONS[execution]]
    assert shown["live"] is (action.history_at is None)


@pytest.mark.parametrize("state", TargetState)
def test_every_state_of_a_target_has_its_word(mira: Client, state: TargetState) -> None:
    action = put(proposed(), Decision.APPROVED, Execution.IN_PROGRESS)
    action.targets.update(state=state)

    (target,) = pane(mira, action)["targets"]
    assert target["state_label"] == words.TARGET_STATES[state][1]


def test_every_kind_of_event_about_an_action_is_told() -> None:
    about = {kind for kind in Kind if kind.startswith("action.")}
    assert about <= set(TOLD)


def test_a_large_action_is_shown_in_part_worst_first(mira: Client) -> None:
    action = put(proposed(), Decision.APPROVED, Execution.PARTLY_SUCCEEDED)
    ActionTarget.objects.bulk_create(
        ActionTarget(
            action=action, kind=2, name=f"file {number}", lane=f"l{number}", state=TargetState.SUCCEEDED
        )
        for number in range(60)
    )
    ActionTarget.objects.filter(name="file 59").update(state=TargetState.FAILED, error="in use")

    shown = pane(mira, action)
    assert (len(shown["targets"]), shown["targets_total"]) == (TARGETS_SHOWN, 61)
    assert shown["targets_url"] == f"/action-center/actions/{action.pk}/targets"
    assert shown["targets"][0]["error"] == "in use"


def test_a_long_story_shows_its_end(mira: Client) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    for number in range(EVENTS_SHOWN + 5):
        action.edit(
            {"isolation": "full", "hours": number + 1},
            by=factories.person("sam").actor(),
            revision=action.revision,
        )

    timeline = pane(mira, action)["timeline"]
    assert len(timeline) == EVENTS_SHOWN
    assert f"hours {EVENTS_SHOWN + 5}" in timeline[-1]["detail"]


def test_neighbours_in_the_list_are_one_step_away(mira: Client) -> None:
    first, second, third = factories.waiting_actions(3)
    for at, action in enumerate((first, second, third)):
        Action.objects.filter(pk=action.pk).update(expires_at=timezone.now() + timedelta(days=1, hours=at))

    for headers in ({}, PANE):
        shown = mira.get(
            f"/action-center/pending?verdict=malicious&open={second.pk}", headers=headers
        ).context["action"]
        assert shown["prev_url"] == f"/action-center/pending?verdict=malicious&open={first.pk}"
        assert shown["next_url"] == f"/action-center/pending?verdict=malicious&open={third.pk}"
        assert (shown["close_url"], shown["position"]) == (
            "/action-center/pending?verdict=malicious",
            "2 of 3",
        )


def test_similar_ones_that_wait_in_the_same_investigation(mira: Client) -> None:
    found_in = factories.investigation()
    home = factories.group()
    first, second = (
        factories.planned(factories.file_evidence(factories.device(in_group=home), found_in))[0]
        for _ in range(2)
    )

    assert [other["label"] for other in pane(mira, first)["similar"]] == [second.label]


def test_approving_needs_a_route_and_a_plan(mira: Client) -> None:
    assert pane(mira, proposed())["why_not"] == {
        "approve": "No connector reaches its target, so it can't be approved."
    }
    mira.force_login(factories.person("aiko"))
    assert "plan" in pane(mira, factories.waiting_mail_action())["why_not"]["approve"]


def test_a_quorum_says_which_vote_this_is(mira: Client) -> None:
    ApprovalRule.objects.create(quorum=2)
    action = factories.waiting_action()

    assert pane(mira, action)["votes"] == "Yours is approval 1 of 2. It runs when 1 more approves."
    action.approve(by=factories.person("sam").actor())
    assert pane(mira, action)["votes"] == "Yours is approval 2 of 2. It runs at once."
