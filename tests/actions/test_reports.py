"""How long decisions took and what became of them, in figures."""

import random
from collections.abc import Iterable, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

import pytest

from actioncenter.actions.enums import ActionType, Decision, Execution, Source
from actioncenter.actions.models import Action
from actioncenter.actions.queries.reports import By, Figures, figures
from tests import factories
from tests.actions.ended import asked, ended, take_back
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = 60, 3600, 86400


def whole(**more: Any) -> Figures:
    return figures(asked(**more), [])[0]


def by(split: By, who: str = "noa") -> dict[int, Figures]:
    return {row.key: row for row in figures(asked(who), [split]) if row.by is split}


def test_how_long_decisions_and_remedies_took() -> None:
    """Ten decisions after 1 to 10 minutes; what was done was over a minute later."""
    for minutes in range(1, 11):
        ended(decided=minutes * MINUTE, took=(minutes + 1) * MINUTE)
    ended(Decision.REJECTED, decided=5 * MINUTE)
    ended(Decision.EXPIRED, decided=9 * DAY)
    ended(Decision.NOT_REQUIRED, decided=0, took=30)

    found = whole()
    assert found.decide == (5 * MINUTE, 10 * MINUTE)
    assert found.remedy == (6 * MINUTE, 11 * MINUTE)


def test_one_alone_is_both_its_half_and_its_most() -> None:
    ended(decided=90, took=100)
    assert whole().decide == (90, 90)
    assert whole().remedy == (100, 100)


def test_what_was_never_done_has_no_time_to_remediate() -> None:
    ended(execution=Execution.FAILED)
    assert whole().decide == (HOUR, HOUR)
    assert whole().remedy == (None, None)


def test_how_it_was_decided() -> None:
    for decision, times in (
        (Decision.APPROVED, 4),
        (Decision.REJECTED, 3),
        (Decision.EXPIRED, 2),
        (Decision.WITHDRAWN, 1),
    ):
        for _ in range(times):
            ended(decision)
    for _ in range(5):
        ended(Decision.NOT_REQUIRED)
    ended(Decision.NOT_REQUIRED, requested_by=factories.person("mira"))

    counts = whole().counts
    assert (counts.approved, counts.rejected, counts.expired, counts.withdrawn) == (4, 3, 2, 1)
    assert (counts.automatic, counts.by_hand, counts.waited, counts.ended) == (5, 1, 10, 16)
    assert counts.done == 10


@pytest.mark.parametrize(
    ("after", "regretted"),
    [(timedelta(0), 1), (timedelta(days=7), 1), (timedelta(days=7, seconds=1), 0), (timedelta(days=9), 0)],
)
def test_undone_within_seven_days_is_regret(after: timedelta, regretted: int) -> None:
    take_back(ended(ago=timedelta(days=20)), after=after)
    ended()

    counts = whole().counts
    assert (counts.ended, counts.done, counts.undone, counts.regretted) == (2, 2, 1, regretted)


@pytest.mark.parametrize(
    "how", [{"execution": Execution.FAILED}, {"execution": Execution.CANCELLED}, {"source": Source.TIMER}]
)
def test_no_regret_where_nothing_was_undone_or_a_timer_did_it(how: Any) -> None:
    take_back(ended(), after=timedelta(hours=1), **how)

    assert (whole().counts.ended, whole().counts.undone, whole().counts.regretted) == (1, 0, 0)


def test_by_type_group_and_person() -> None:
    laptops, servers = factories.group(), factories.group("Servers")
    ended(group=laptops, decided=60)
    ended(group=servers, decided=120, kind=ActionType.ISOLATE_DEVICE)
    ended(Decision.REJECTED, group=servers, decided=180, by=factories.person("sam"))
    ended(Decision.NOT_REQUIRED)

    types = by(By.TYPE)
    assert {key: row.counts.ended for key, row in types.items()} == {
        ActionType.QUARANTINE_FILE: 3, ActionType.ISOLATE_DEVICE: 1,
    }  # fmt: skip
    assert types[ActionType.ISOLATE_DEVICE].decide == (120, 120)
    groups = by(By.GROUP)
    assert {key: (row.name, row.decide.most) for key, row in groups.items()} == {
        laptops.pk: ("Finance laptops", 60), servers.pk: ("Servers", 180), 0: ("", None),
    }  # fmt: skip
    people = by(By.PERSON)
    assert {row.name: row.decide.half for row in people.values()} == {"Mira Chen": 60, "Sam Okoye": 180}


def rank(spans: Sequence[int], share: int) -> int | None:
    return sorted(spans)[ceil(len(spans) * share / 100) - 1] if spans else None


def naive(rows: Iterable[Action]) -> tuple[Any, ...]:
    """The same by hand, over objects."""
    rows = list(rows)
    decided = [row for row in rows if row.decision in (Decision.APPROVED, Decision.REJECTED)]
    done = [row for row in rows if row.execution in (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED)]
    undone = [
        row
        for row in done
        if row.undone_by
        and row.undone_by.execution in (Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED)
        and row.undone_by.source != Source.TIMER
    ]
    regretted = [row for row in undone if row.undone_by.created_at - row.history_at <= timedelta(days=7)]
    deciding = [round((row.decided_at - row.created_at).total_seconds()) for row in decided if row.decided_at]
    doing = [round((row.history_at - row.created_at).total_seconds()) for row in done if row.history_at]
    return (
        len(rows),
        sum(row.automatic for row in rows),
        *(sum(row.decision == each for row in rows) for each in (Decision.APPROVED, Decision.REJECTED, Decision.EXPIRED)),
        len(done), len(undone), len(regretted),
        rank(deciding, 50), rank(deciding, 95), rank(doing, 50), rank(doing, 95),
    )  # fmt: skip


def said(row: Figures) -> tuple[Any, ...]:
    counts = row.counts
    return (
        counts.ended, counts.automatic, counts.approved, counts.rejected, counts.expired,
        counts.done, counts.undone, counts.regretted, *row.decide, *row.remedy,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_the_database_counts_as_one_would_by_hand(seed: int) -> None:
    rng = random.Random(seed)
    groups = [None, factories.group(), factories.group("Servers")]
    people = [factories.person(name) for name in ("mira", "sam", "noa")]
    for _ in range(120):
        decision = rng.choice([each for each in Decision if each is not Decision.PENDING])
        runs = decision in (Decision.APPROVED, Decision.NOT_REQUIRED)
        decided = rng.choice([0, 30, rng.randrange(2 * DAY)])
        action = ended(
            decision,
            rng.choice([Execution.SUCCEEDED, Execution.PARTLY_SUCCEEDED, Execution.FAILED]) if runs else Execution.NONE,
            ago=timedelta(days=rng.randrange(3, 45)), decided=decided, took=decided + rng.randrange(DAY),
            by=rng.choice(people), group=rng.choice(groups), kind=rng.choice(list(ActionType)[:5]),
        )  # fmt: skip
        if action.execution == Execution.SUCCEEDED and rng.random() < 0.4:
            take_back(
                action,
                after=timedelta(days=rng.choice([0, 7, 8])),
                execution=rng.choice([Execution.SUCCEEDED, Execution.FAILED]),
                source=rng.choice([Source.MANUAL_DEVICE, Source.TIMER]),
            )
    wanted = asked()
    rows = Action.objects.filter(undo_of=None, history_at__gte=wanted.since, history_at__lt=wanted.until)
    columns = {By.TYPE: "type", By.GROUP: "group_id", By.PERSON: "decided_by_id"}

    found = figures(wanted, list(By))
    assert said(found[0]) == naive(rows)
    for split, column in columns.items():
        of = rows.exclude(decided_by=None) if split is By.PERSON else rows
        keys = {getattr(row, column) for row in of}
        assert {row.key: said(row) for row in found if row.by is split} == {
            key or 0: naive(of.filter(**{column: key})) for key in keys
        }


def test_only_what_ended_in_the_period() -> None:
    for days in (1, 29, 31, 400):
        ended(ago=timedelta(days=days), took=0, decided=0)
    proposed()

    assert whole().counts.ended == 2
    assert whole(days=365).counts.ended == 3
