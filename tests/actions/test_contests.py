"""Many decide the same actions at once, in processes of their own: each is decided exactly once."""

import random
from collections import defaultdict
from typing import Any

import pytest

from actioncenter.accounts.models import User
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action, Vote
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from tests import factories
from tests.actions.real_processes import in_processes

PEOPLE, ACTIONS = 8, 25
DECIDED = ("action.approved", "action.rejected")
Outcomes = list[dict[str, Any]]


def people(number: int) -> list[int]:
    enrol = User.objects.enrol
    names = [f"Responder {at}." for at in range(number)]
    return [
        enrol(f"r{at}", by=factories.SETUP, roles=[Role.RESPONDER], display_name=name).pk
        for at, name in enumerate(names)
    ]


def contest(url: str, ways: list[str], seed: int = 0) -> tuple[list[int], Outcomes]:
    actions = [action.pk for action in factories.waiting_actions(ACTIONS)]
    spec = {"users": people(len(ways)), "ways": ways, "actions": actions, "seed": seed}
    return actions, in_processes("tests.actions.deciders", url, spec)


def faults(actions: list[int], outcomes: Outcomes) -> list[str]:
    """What a decision made exactly once would not show."""
    told = defaultdict(list)
    for outcome in outcomes:
        told[outcome["action"]].append(outcome)
    found = []
    for number in actions:
        winners = [outcome["who"] for outcome in told[number] if outcome["won"]]
        if len(winners) != 1:
            found.append(f"A-{number} was won by {winners}")
        found += [
            f"A-{number}: {loser['error']}: {loser['message']}"
            for loser in told[number]
            if not loser["won"] and not told_by_whom(loser, winners)
        ]
        votes = list(Vote.objects.filter(action=number).values_list("user_name", flat=True))
        events = Event.objects.filter(stream=f"action:{number}", kind__in=DECIDED)
        if votes != winners or list(events.values_list("actor_name", flat=True)) != winners:
            found.append(f"A-{number}: {len(votes)} votes, {len(events)} events, winners {winners}")
    return found


def told_by_whom(loser: dict[str, Any], winners: list[str]) -> bool:
    return loser["error"] == "Conflict" and any(name in loser["message"] for name in winners)


@pytest.mark.parametrize(
    "ways",
    [
        ["approve"] * PEOPLE,
        ["approve", "reject"] * (PEOPLE // 2),
        ["bulk", "single"] * (PEOPLE // 2),
        ["bulk"] * PEOPLE,
    ],
    ids=["approve against approve", "approve against reject", "bulk against single", "bulk against bulk"],
)
def test_every_action_is_decided_once_and_losers_are_told_by_whom(
    shared_database: str, ways: list[str]
) -> None:
    actions, outcomes = contest(shared_database, ways, seed=random.randrange(10**6))

    assert len(outcomes) == PEOPLE * ACTIONS
    assert faults(actions, outcomes) == []
    ends = set(Action.objects.values_list("decision", "execution"))
    assert ends <= {(Decision.APPROVED, Execution.QUEUED), (Decision.REJECTED, Execution.NONE)}


def test_the_same_contest_sees_a_naive_decision(shared_database: str) -> None:
    actions, outcomes = contest(shared_database, ["naive"] * PEOPLE)

    assert len(faults(actions, outcomes)) >= ACTIONS
