"""The people and actions of a contest, and holding it."""

import random
from collections.abc import Sequence
from typing import Any

from django.db.models.functions import Now

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ActionType, Area, AttemptState, Decision, Source, TargetKind
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, Attempt, Proposal, TargetDraft
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Device
from tests import factories
from tests.actions.real_processes import in_processes
from tests.contests.playing import SYSTEM, Told

SECONDS = 600


def people(number: int) -> list[User]:
    names = [f"Responder {at}." for at in range(number)]
    return [
        User.objects.enrol(f"r{at}", by=factories.SETUP, roles=[Role.RESPONDER], display_name=name)
        for at, name in enumerate(names)
    ]


def waiting(number: int) -> list[int]:
    return [action.pk for action in factories.waiting_actions(number)]


def changeable(number: int) -> list[int]:
    """Scans, quick so far."""
    device = factories.device(in_group=factories.group())
    return [_scan(device, at) for at in range(number)]


def _scan(device: Device, at: int) -> int:
    target = TargetDraft(
        kind=TargetKind.DEVICE,
        name=device.name,
        entity=f"device:{device.pk}",
        on_name=device.name,
        device_id=device.pk,
        instance_id=ConnectorInstance.objects.values_list("pk", flat=True)[0],
    )
    proposal = Proposal(
        type=ActionType.ANTIVIRUS_SCAN,
        area=Area.DEVICE,
        source=Source.MANUAL_DEVICE,
        decision=Decision.PENDING,
        targets=[target],
        parameters={"scan": "quick"},
        investigation_id=factories.investigation(f"Scan {at}").pk,
        group_id=device.group_id,
    )
    return Action.objects.propose(proposal, by=Actor.automation())[0].pk


def approved(number: int) -> list[int]:
    """Queued, and nothing run yet."""
    boss = factories.person("mira").actor()
    found = factories.waiting_actions(number)
    ConnectorInstance.objects.update(settings={"pace": 0})
    for action in found:
        action.approve(by=boss, comment="contest")
    return [action.pk for action in found]


def succeeded(number: int) -> list[int]:
    numbers = approved(number)
    while Action.objects.filter(pk__in=numbers).running().exists():
        loop.drain(by=SYSTEM)
        Attempt.objects.filter(ended_at=None, state=AttemptState.POLLING).update(next_poll_at=Now())
    return numbers


def hold(
    url: str,
    ways: Sequence[str],
    rounds: Sequence[Sequence[int]],
    *,
    planted: str = "",
    one_person: bool = False,
    **more: Any,
) -> list[Told]:
    """What everybody was told. A player whose way is `sweeper` or `runner` is no person."""
    persons = iter(people(len(ways)))
    users = [None if way in {"sweeper", "runner"} else next(persons).pk for way in ways]
    if one_person:
        users = [users[0]] * len(users)
    players = [{"way": way, "user": user} for way, user in zip(ways, users, strict=True)]
    spec = {"players": players, "rounds": rounds, "seed": random.randrange(10**6), "planted": planted, **more}
    told = in_processes("tests.contests.playing", url, spec, seconds=SECONDS)
    broken = [one["broken"] for one in told if "broken" in one]
    assert not broken, broken[0]
    return list(told)


def singly(numbers: Sequence[int]) -> list[list[int]]:
    """A round for each."""
    return [[number] for number in numbers]
