"""Poisoned verdicts make exactly as many automatic actions as the caps allow, whoever plans and how often."""

import random
from collections.abc import Sequence

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import Action
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.models import DeviceGroup, RailUse, Safeguards
from investigations.enums import EvidenceType
from tests.actions.poisoned import automatic, fleet, verdicts, waiting
from tests.actions.real_processes import in_processes

ISOLATE, QUARANTINE = ActionType.ISOLATE_DEVICE, ActionType.QUARANTINE_FILE
WORKERS = 4


def plan_in_processes(
    url: str, ways: Sequence[str], rounds: list[list[list[int]]], seconds: float = 120
) -> None:
    spec = {"ways": list(ways), "rounds": rounds}
    assert in_processes("tests.actions.planners", url, spec, seconds=seconds) == [0] * len(ways)


def shared_out(evidence: Sequence[int], rng: random.Random, workers: int = WORKERS) -> list[list[int]]:
    """Each worker gets its part, and some of what another has too."""
    return [
        [pk for at, pk in enumerate(evidence) if at % workers == worker or rng.random() < 0.2]
        for worker in range(workers)
    ]


def used(home: DeviceGroup, *, device_wide: bool) -> int:
    rows = RailUse.objects.filter(group=home, device_wide=device_wide)
    return sum(rows.values_list("used", flat=True))


@pytest.mark.oversight("HO-012")
def test_exactly_the_capped_number_runs_by_itself(shared_database: str) -> None:
    rng = random.Random(seed := random.randrange(10**6))
    Safeguards(pk=1, device_cap=3, device_cap_percent=10, entity_cap=5, entity_cap_percent=20).save()
    large, small = fleet("large", 40, critical=2), fleet("small", 20)
    caps = {(large, ISOLATE): 4, (small, ISOLATE): 3, (large, QUARANTINE): 8, (small, QUARANTINE): 5}
    evidence = verdicts(large, 3) + verdicts(small, 3)
    rng.shuffle(evidence)

    # Processes that begin anew count on from what the last ones did.
    for part in (evidence[:60], evidence[40:120], evidence[100:]):
        plan_in_processes(shared_database, ["twice", "plan"] * 2, [shared_out(part, rng)])

    made = {key: automatic(*key) for key in caps}
    assert made == caps, f"seed {seed}"
    assert {key: used(key[0], device_wide=key[1] == ISOLATE) for key in caps} == caps
    assert Action.objects.filter(device__critical=True, decision=1).count() == 0
    assert waiting(small, ISOLATE, "rail_reached") == 60 - 3
    assert waiting(large, ISOLATE, "rail_reached") + waiting(large, ISOLATE, "critical_device") == 120 - 4
    reached = Event.objects.filter(kind=Kind.RAIL_REACHED).values_list("stream", flat=True)
    assert len(reached) == len(set(reached)) == 4


def one_unit_left(rounds: int) -> tuple[list[DeviceGroup], list[list[list[int]]]]:
    Safeguards(pk=1, device_cap=1, device_cap_percent=0, entity_cap=1000).save()
    homes = [fleet(f"g{at}", 2) for at in range(rounds)]
    return homes, [[[pk] for pk in verdicts(home, 1, EvidenceType.IP)] for home in homes]


def test_of_two_workers_with_one_unit_left_one_gets_it(shared_database: str) -> None:
    homes, rounds = one_unit_left(20)

    plan_in_processes(shared_database, ["plan", "plan"], rounds)

    assert [automatic(home, ISOLATE) for home in homes] == [1] * 20
    assert [waiting(home, ISOLATE, "rail_reached") for home in homes] == [1] * 20


def test_the_same_contest_sees_a_count_without_the_lock(shared_database: str) -> None:
    homes, rounds = one_unit_left(5)
    plan_in_processes(shared_database, ["plan", "plan"], rounds)
    # The rails exist; an hour later each has its unit again.
    RailUse.objects.all().delete()
    again = [[[pk] for pk in verdicts(home, 1, EvidenceType.IP)] for home in homes]

    plan_in_processes(shared_database, ["naive", "naive"], again)

    assert max(automatic(home, ISOLATE) for home in homes) > 2


@pytest.mark.long
@pytest.mark.oversight("HO-012")
def test_ten_thousand_verdicts_for_a_thousand_devices(shared_database: str) -> None:
    homes = [fleet("factory", 700, critical=10), fleet("office", 300)]
    evidence = [pk for home in homes for pk in verdicts(home, 10, EvidenceType.IP)]
    random.Random(7).shuffle(evidence)

    for part in (evidence[:5_000], evidence[5_000:]):
        rounds = [shared_out(part, random.Random(8))]
        plan_in_processes(shared_database, ["plan"] * WORKERS, rounds, seconds=3_000)

    assert [automatic(home, ISOLATE) for home in homes] == [14, 6]
    assert Action.objects.filter(type=ISOLATE).count() == 10_000
    assert Action.objects.filter(device__critical=True, decision=1).count() == 0
