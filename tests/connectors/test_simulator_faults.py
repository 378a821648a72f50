"""What the simulator can be told to do wrong, for all or for one."""

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import (
    Conflict,
    Continue,
    Delivery,
    Done,
    Outcome,
    Permanent,
    Request,
    Transient,
    Unknown,
)
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.faults import Behaviour, struck
from tests.connectors.harness import Notes, finish
from tests.connectors.simulator_harness import SimulatorHarness

Isolate = Callable[[int], Request]


def outcomes(simulated: SimulatorHarness, request: Request) -> list[Outcome]:
    return [result.outcome for result in finish(simulated, request).results.values()]


def test_slow_spreads_its_seconds_over_the_steps(simulated: SimulatorHarness, isolate: Isolate) -> None:
    simulated.estate.behave(Behaviour.SLOW, 60)
    request = isolate(1)
    began = simulated.now()
    run = finish(simulated, request)
    assert simulated.now() - began == 60
    assert [answer.wait for answer in run.answers] == [15, 15, 15, 15]
    assert [answer.done for answer in run.answers] == [1, 2, 3, 4]


def test_polling_too_early_changes_nothing(simulated: SimulatorHarness) -> None:
    request = simulated.request(ActionType.ANTIVIRUS_SCAN)
    first = simulated.connector.step(request, None, Notes())
    assert isinstance(first, Continue)
    simulated.advance(first.wait / 2)
    early = simulated.connector.step(request, first.cursor, Notes())
    assert isinstance(early, Continue)
    assert (early.cursor, early.done) == (first.cursor, first.done)
    assert early.wait == first.wait / 2


def test_a_scan_says_what_it_is_at(simulated: SimulatorHarness) -> None:
    run = finish(simulated, simulated.request(ActionType.ANTIVIRUS_SCAN))
    assert [answer.message for answer in run.answers] == [
        "Reading signatures", "Scanning memory", "Scanning start-up places", "Scanning user folders",
    ]  # fmt: skip


def test_a_lost_cursor_does_not_start_a_keyed_job_over(simulated: SimulatorHarness) -> None:
    request = simulated.request(ActionType.ANTIVIRUS_SCAN)
    seen = []
    for _ in range(2):
        answer = simulated.connector.step(request, None, Notes())
        assert isinstance(answer, Continue)
        seen.append(answer.message)
        simulated.advance(answer.wait)
    assert seen == ["Reading signatures", "Scanning memory"]


def test_flaky_breaks_every_nth_call_before_anything_is_sent(
    simulated: SimulatorHarness, isolate: Isolate
) -> None:
    simulated.estate.behave(Behaviour.FLAKY, 3)
    for _ in range(2):
        for _ in range(2):
            assert outcomes(simulated, isolate(1)) == [Outcome.SUCCEEDED]
        request = isolate(1)
        with pytest.raises(Transient) as caught:
            finish(simulated, request)
        assert not caught.value.offline
        assert not simulated.effects(request)


@pytest.mark.parametrize(("fraction", "failing"), [(0.0, 0), (0.25, 2), (0.29, 29), (0.5, 4), (1.0, 8)])
def test_a_fraction_is_exact(fraction: float, failing: int) -> None:
    total = 100 if fraction == 0.29 else 8
    assert sum(struck(fraction, index) for index in range(total)) == failing


def test_refuse_raises_its_code(simulated: SimulatorHarness, isolate: Isolate) -> None:
    simulated.estate.behave(Behaviour.REFUSE, "quota")
    with pytest.raises(Permanent) as caught:
        finish(simulated, isolate(1))
    assert caught.value.code == "quota"


def test_conflict_names_the_other_job(simulated: SimulatorHarness, isolate: Isolate) -> None:
    simulated.estate.behave(Behaviour.CONFLICT, "job-7")
    with pytest.raises(Conflict) as caught:
        finish(simulated, isolate(1))
    assert caught.value.existing == "job-7"


def test_one_that_refuses_does_not_spoil_the_others(simulated: SimulatorHarness, isolate: Isolate) -> None:
    request = isolate(3)
    simulated.estate.behave(Behaviour.REFUSE, "quota", owner=request.targets[1].remote)
    run = finish(simulated, request)
    found = [result.outcome for result in run.results.values()]
    assert found == [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED]
    assert run.results[request.targets[1].key].error.startswith("quota: ")


def test_a_lie_is_caught_by_reading_back(simulated: SimulatorHarness, isolate: Isolate) -> None:
    simulated.estate.behave(Behaviour.LIE)
    request = isolate(1)
    before = simulated.digest()
    assert outcomes(simulated, request) == [Outcome.SUCCEEDED]
    assert simulated.digest() == before
    assert list(simulated.connector.verify(request).in_force.values()) == [False]


def test_the_offline_wait_while_the_others_are_done(simulated: SimulatorHarness, isolate: Isolate) -> None:
    request = isolate(5)
    away = request.targets[0]
    simulated.estate.change("device", away.remote, online=False)
    notes = Notes()
    with pytest.raises(Transient) as caught:
        finish(simulated, request, notes=notes)
    assert caught.value.offline
    assert set(notes.results) == {target.key for target in request.targets[1:]}
    simulated.estate.change("device", away.remote, online=True)
    rest = replace(request, id=str(uuid.uuid4()), targets=[away])
    assert outcomes(simulated, rest) == [Outcome.SUCCEEDED]


def test_a_contained_device_need_not_answer(simulated: SimulatorHarness) -> None:
    request = simulated.request(ActionType.CONTAIN_DEVICE)
    simulated.take_offline(request)
    assert outcomes(simulated, request) == [Outcome.SUCCEEDED]


def test_an_owners_own_setting_goes_before_that_for_all(
    simulated: SimulatorHarness, isolate: Isolate
) -> None:
    request = isolate(2)
    simulated.estate.behave(Behaviour.OFFLINE)
    simulated.estate.behave(Behaviour.OFFLINE, False, owner=request.targets[1].remote)
    answer = simulated.connector.step(request, None, Notes())
    assert [result.key for result in answer.results] == [request.targets[1].key]
    simulated.estate.behave_normally()
    assert isinstance(simulated.connector.step(request, answer_cursor(answer), Notes()), Done)


def answer_cursor(answer: Done | Continue) -> dict[str, object]:
    assert isinstance(answer, Continue)
    return answer.cursor


def test_a_fault_with_a_number_of_times_ends(simulated: SimulatorHarness, isolate: Isolate) -> None:
    simulated.estate.behave(Behaviour.TIMEOUT_AFTER_EFFECT, times=2)
    for _ in range(2):
        with pytest.raises(Unknown) as caught:
            finish(simulated, isolate(1))
        assert caught.value.evidence
    assert outcomes(simulated, isolate(1)) == [Outcome.SUCCEEDED]


def test_a_blind_far_side_acts_again_and_the_journal_of_effects_shows_it(tmp_path: Path) -> None:
    simulated = SimulatorHarness(tmp_path, delivery=Delivery.BLIND)
    request = simulated.request(ActionType.ANTIVIRUS_SCAN)
    finish(simulated, request)
    finish(simulated, request)
    assert list(simulated.effects(request).values()) == [2]
    simulated.close()


def test_threads_with_one_id_make_one_effect(simulated: SimulatorHarness, isolate: Isolate) -> None:
    request = isolate(4)
    start, results = threading.Barrier(4), []

    def run() -> None:
        start.wait()
        results.append(finish(simulated, request).results)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(found == results[0] for found in results)
    assert set(simulated.effects(request).values()) == {1}


PROCESS = """
import sys
from actioncenter.connectors.simulator.estate import Estate
estate = Estate(sys.argv[1])
for number in range(20):
    estate.change("device", f"{sys.argv[2]}-{number}", seen=number)
"""


def test_processes_share_one_new_estate(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite3"
    command = [sys.executable, "-c", PROCESS, str(path)]
    running = [
        subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("a", "b", "c")
    ]
    assert [process.communicate()[1] for process in running] == ["", "", ""]
    with Estate(path).reading() as scene:
        assert len(list(scene.of("device"))) == 60


def test_an_estate_that_cannot_be_opened_is_a_transient_matter(
    simulated: SimulatorHarness, isolate: Isolate, tmp_path: Path
) -> None:
    request = isolate(1)
    simulated.estate.path = tmp_path / "missing" / "estate.sqlite3"
    assert not simulated.connector.check().ok
    with pytest.raises(Transient) as caught:
        simulated.connector.step(request, None, Notes())
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(Transient):
        simulated.connector.capabilities(TargetKind.DEVICE, "x")
