"""Groups, people, devices, mailboxes and investigations of the made-up company."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle, islice
from typing import TypeVar

from django.db.models import Model

from actioncenter.accounts.models import User
from actioncenter.bench.population.loading import load
from actioncenter.bench.population.moments import SPAN, millis, text
from actioncenter.bench.population.vocabulary import DOMAIN, FAMILY, GIVEN, LEVELS, PLACES, TEAMS, WORDS
from actioncenter.settings.models import DeviceGroup
from investigations.enums import InvestigationState, OsFamily
from investigations.models import Device, Investigation, Mailbox

M = TypeVar("M", bound=Model)
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class World:
    """`groups` are ordered from the largest to the smallest."""

    groups: Sequence[DeviceGroup]
    people: Sequence[User]
    devices: Sequence[Device]
    mailboxes: Sequence[Mailbox]
    investigations: range

    @property
    def group_names(self) -> dict[int, str]:
        return {group.pk: group.name for group in self.groups}


def build(rows: int, rng: random.Random, now: datetime) -> World:
    """Grows with the number of actions up to 200 groups, 20,000 devices and 150 people."""
    groups = _groups(min(200, max(5, rows // 50)), rng)
    return World(
        groups=groups,
        people=_people(min(150, max(5, rows // 100))),
        devices=_devices(min(20_000, max(20, rows // 10)), groups, rng),
        mailboxes=_mailboxes(min(5_000, max(10, rows // 40))),
        investigations=_investigations(max(1, rows // 20), rng, now),
    )


def _create(model: type[M], objects: Iterable[M]) -> list[M]:
    return model._default_manager.bulk_create(objects, batch_size=BATCH)


def _groups(count: int, rng: random.Random) -> list[DeviceGroup]:
    names = (f"{team} {place}" for place in PLACES for team in TEAMS)
    levels = rng.choices(list(LEVELS), list(LEVELS.values()), k=count)
    # The documented default level of a new group stays what it is; only ours are made.
    return _create(
        DeviceGroup,
        [
            DeviceGroup(name=name, rank=rank, level=level.value)
            for rank, (name, level) in enumerate(zip(islice(names, count), levels, strict=True), start=1)
        ],
    )


def _people(count: int) -> list[User]:
    names = ((given, family) for family in FAMILY for given in GIVEN)
    return _create(
        User,
        [
            User(
                username=f"{given}.{family}".lower(), display_name=f"{given} {family}", password="!"  # noqa: S106
            )
            for given, family in islice(names, count)
        ],
    )  # fmt: skip


def _devices(count: int, groups: Sequence[DeviceGroup], rng: random.Random) -> list[Device]:
    # A handful of groups holds most devices: the largest about twenty times the smallest.
    sizes = [1 / (at + 10) for at in range(len(groups))]
    chosen = rng.choices(groups, sizes, k=count)
    kinds = cycle(["lap", "wks", "srv", "kiosk"])
    return _create(
        Device,
        [
            Device(
                name=f"{kind}-{place.lower()}-{at:05}",
                os_family=OsFamily.LINUX if kind == "srv" else OsFamily.WINDOWS,
                group=group,
                critical=at % 97 == 0,
            )
            for at, (group, kind, place) in enumerate(zip(chosen, kinds, cycle(PLACES), strict=False))
        ],
    )


def _mailboxes(count: int) -> list[Mailbox]:
    names = cycle([f"{given}.{family}".lower() for family in FAMILY for given in GIVEN])
    return _create(
        Mailbox,
        [Mailbox(address=f"{name}{at}@{DOMAIN}") for at, name in enumerate(islice(names, count))],
    )


def _investigations(count: int, rng: random.Random, now: datetime) -> range:
    states = [
        InvestigationState.REMEDIATED,
        InvestigationState.PARTIALLY_REMEDIATED,
        InvestigationState.FAILED,
    ]
    chosen = rng.choices(states, [90, 8, 2], k=count)
    ended = text(millis(now) - SPAN)
    rows = [
        {
            "id": number, "public_id": f"{number:032x}", "source": "bench", "external_id": f"bench-{number}",
            "title": f"Suspicious {WORDS[number % len(WORDS)]} was seen", "state": state.value,
            "started_at": ended, "changed_at": ended, "ended_at": ended,
        }
        for number, state in enumerate(chosen, start=1)
    ]  # fmt: skip
    load(Investigation, iter([rows]), lambda done: None)
    return range(1, count + 1)
