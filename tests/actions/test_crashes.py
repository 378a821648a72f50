"""Runners are killed at any moment, and still everything decided happens, once, and is told truly."""

import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actioncenter.actions.enums import TARGET_ENDS, Execution, TargetState
from actioncenter.actions.execution import jobs, loop
from actioncenter.actions.models import Action, ActionTarget, Attempt
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.real_processes import in_processes

FILES, CLUSTERS, MESSAGES = 24, 2, 12
EVERYWHERE = {
    "before the intent mark": 0.03,
    "after the intent mark": 0.03,
    "before the effect": 0.03,
    "after the effect": 0.03,
    "after the record": 0.03,
}


def queue_up(folder: Path, **options: Any) -> Estate:
    """Approved actions on a simulator that takes its time."""
    path = folder / "estate.sqlite3"
    ConnectorInstance.objects.update(settings={"path": str(path), "pace": 0, "chunk": 5, **options})
    clusters = [factories.waiting_mail_action(messages=MESSAGES) for _ in range(CLUSTERS)]
    while job := jobs.claim_next():
        jobs.work(job, by=RUNNER)
    for action in factories.waiting_actions(FILES):
        action.approve(by=factories.person("mira").actor())
    for action in clusters:
        action.approve(by=factories.person("aiko").actor())
    estate = Estate(path)
    estate.behave("slow", 0.2)
    return estate


def effects(estate: Estate) -> Counter[str]:
    """How often each target was really acted on, under whatever request."""
    with sqlite3.connect(estate.path) as sql:
        counted = Counter(dict(sql.execute("SELECT key, COUNT(*) FROM effects GROUP BY key")))
    sql.close()
    return counted


def faults(estate: Estate, *, unknown: bool = False) -> list[str]:
    """Lost, doubled, stuck and mistold; with `unknown` a person may have to look at some."""
    done = effects(estate)
    found = [f"target {key} was acted on {times} times" for key, times in done.items() if times > 1]
    allowed = TARGET_ENDS | {TargetState.UNKNOWN} if unknown else {TargetState.SUCCEEDED}
    for target in ActionTarget.objects.select_related("attempt"):
        if target.state not in allowed:
            found.append(f"{target} is {TargetState(target.state).name}: {target.error}")
        if target.state == TargetState.SUCCEEDED and not (done[str(target.pk)] and target.read_back_at):
            found.append(f"{target} is called done, but wasn't")
    stuck = Action.objects.filter(execution__in=[Execution.QUEUED, Execution.IN_PROGRESS])
    found += [f"{action} is stuck {Execution(action.execution).name}" for action in stuck]
    left_open = Attempt.objects.filter(ended_at=None).exclude(action__in=Action.objects.needs_a_look())
    found += [f"{attempt} is still open" for attempt in left_open]
    ends = Counter(Event.objects.filter(kind="action.succeeded").values_list("stream", flat=True))
    return found + [f"{stream} succeeded {times} times" for stream, times in ends.items() if times > 1]


def live_and_die(url: str, *, runners: int = 1, **more: Any) -> dict[str, Any]:
    spec = {"deaths": 10, "lease": 1.0, "die": EVERYWHERE, "kill": True, "plant": False, **more}
    spec |= {"runners": runners}
    told: dict[str, Any] = in_processes(
        "tests.actions.runners", url, {"seed": random.randrange(10**6), **spec}
    )
    return told


@pytest.mark.parametrize("runners", [1, 2])
def test_nothing_is_lost_doubled_or_stuck(shared_database: str, tmp_path: Path, runners: int) -> None:
    estate = queue_up(tmp_path)

    told = live_and_die(shared_database, runners=runners)

    assert told["deaths"] > 0
    assert faults(estate) == []
    assert not Action.objects.exclude(execution=Execution.SUCCEEDED).exists()
    assert len(effects(estate)) == FILES + CLUSTERS * MESSAGES


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("delivery", ["queryable", "blind"])
def test_what_may_not_be_sent_twice_is_not(shared_database: str, tmp_path: Path, delivery: str) -> None:
    estate = queue_up(tmp_path, delivery=delivery)

    live_and_die(shared_database)
    loop.drain(by=RUNNER)

    assert faults(estate, unknown=delivery == "blind") == []


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_a_new_id_for_every_try_is_seen(shared_database: str, tmp_path: Path) -> None:
    estate = queue_up(tmp_path)
    estate.behave_normally()

    live_and_die(shared_database, plant=True, deaths=6, kill=False, die={"after the effect": 0.3})

    assert any("times" in fault for fault in faults(estate))
