"""The benchmark of hosts acts on real ones and leaves nothing; its figures are nobody's business here."""

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.bench.asked import Asked
from actioncenter.bench.report import Report
from actioncenter.bench.ssh import ansible, run
from actioncenter.bench.ssh.deeds import BRINGING, PAIRS
from actioncenter.connectors.ssh import network
from actioncenter.connectors.ssh.verbs import VERBS
from actioncenter.estate import lab

pytestmark = pytest.mark.hosts
RATIOS = {"all_vs_one", "in_force", "memory_mib", "ansible_vs_ours_one", "ansible_vs_ours_all"}


def measured() -> Report:
    if lab.missing():
        pytest.skip("what test hosts are made of isn't installed")
    report = run(Asked(rows=2, rounds=1, seed=3, database="sqlite", say=lambda text: None))
    assert report.ratios.keys() == RATIOS
    assert (report.ratios["in_force"], report.held) == (1, None)
    assert not list(network.NAMESPACES.glob(f"{lab.PREFIX}-bench*"))
    return report


def test_without_ansible_it_measures_ours_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ansible, "VERSION", "ansible-core==0.0.0")
    report = measured()
    (table,) = report.tables
    assert [line[0] for line in table.lines] == [
        *(deed.name for pair in PAIRS for deed in pair), *(deed.name for deed in BRINGING),
    ]  # fmt: skip
    assert {line[2] for line in table.lines} == {"-"}
    assert all(float(line[column]) > 0 for line in table.lines for column in (1, 3))
    assert report.ratios["ansible_vs_ours_one"] is None
    assert report.notes[0].startswith("Without ansible-core: ansible-core==0.0.0 can't be installed here (")


@pytest.mark.long
def test_beside_ansible() -> None:
    """Wants the package registry."""
    report = measured()
    if report.notes:
        pytest.skip(report.notes[0])
    assert float(report.ratios["ansible_vs_ours_one"] or 0) > 0


def test_every_action_on_a_device_is_measured_or_known_not_to_be() -> None:
    """Entities aside: each of those is one call, as the quarantine of a file is."""
    done = {deed.type for pair in PAIRS for deed in pair} | {deed.type for deed in BRINGING}
    entities = {
        ActionType.KILL_PROCESS, ActionType.STOP_SERVICE, ActionType.START_SERVICE, ActionType.REMOVE_TASK,
        ActionType.RESTORE_TASK, ActionType.DISABLE_DRIVER, ActionType.ENABLE_DRIVER,
    }  # fmt: skip
    assert set(VERBS) - done - entities == {ActionType.ANTIVIRUS_SCAN}, "takes as long as ClamAV takes"
