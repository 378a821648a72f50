"""Proposals, decisions and outcomes are counted from the sealed log, each once."""

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actioncenter.actions import planning
from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution import gates, loop
from actioncenter.actions.execution.binding import Refusal
from actioncenter.actions.models import Action, Tally, TallyReach, tally
from actioncenter.audit import sealing
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Seal
from actioncenter.ops import metrics
from actioncenter.settings.enums import AutomationLevel
from tests import factories
from tests.actions.conftest import RUNNER, estate
from tests.actions.directly import taken

__all__ = ["estate"]
pytestmark = pytest.mark.django_db
COUNTERS = ("proposals", "decisions", "outcomes", "refusals")


def counted() -> dict[str, float]:
    """What /metrics says once a runner has counted."""
    sealing.seal()
    tally.count()
    return {
        " ".join([family.name.removeprefix("actioncenter_"), *_labels(sample.labels)]): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if family.name.removeprefix("actioncenter_") in COUNTERS
    }


def _labels(given: Mapping[str, str]) -> list[str]:
    return [given[name] for name in ("type", "decision", "outcome", "by") if name in given]


def test_what_people_decide_and_what_comes_of_it(estate: Any) -> None:
    done, rejected, refused, _ = factories.waiting_actions(4)
    mira = factories.person("mira").actor()
    done.approve(by=mira)
    rejected.reject(by=mira, comment="No")
    refused.approve(by=mira)
    gates.refuse(refused, Refusal("policy_changed"), by=RUNNER)
    loop.drain(by=RUNNER)
    assert counted() == {
        "proposals quarantine_file machines": 4,
        "decisions quarantine_file approved people": 2,
        "decisions quarantine_file rejected people": 1,
        "outcomes quarantine_file succeeded": 1,
        "outcomes quarantine_file cancelled": 1,
        "refusals quarantine_file": 1,
    }


def test_what_runs_without_asking(estate: Any) -> None:
    kiosks = factories.group("Kiosks", AutomationLevel.FULL)
    factories.file_evidence(factories.device(in_group=kiosks))
    planning.plan_unplanned(by=Actor.automation())
    taken(ActionType.ISOLATE_DEVICE, factories.device("other", in_group=kiosks), by="noa")
    assert counted() == {
        "proposals quarantine_file machines": 1,
        "decisions quarantine_file not_required machines": 1,
        "proposals isolate people": 1,
        "decisions isolate not_required people": 1,
    }


@pytest.mark.django_db(transaction=True)
def test_nothing_counts_before_its_seal_and_nothing_twice() -> None:
    factories.waiting_action()
    assert not tally.is_waiting()
    assert tally.count() == 0
    assert counted() == counted() == {"proposals quarantine_file machines": 1}
    factories.waiting_action()
    sealing.seal()
    assert tally.is_waiting()
    assert counted() == {"proposals quarantine_file machines": 2}
    assert not tally.is_waiting()


@pytest.mark.django_db(transaction=True)
def test_cut_short_it_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        factories.waiting_action()
        sealing.seal()

    save = TallyReach.save

    def dies(self: TallyReach, **more: Any) -> None:
        if Tally.objects.exists():
            raise SystemExit
        save(self, **more)

    with monkeypatch.context() as broken:
        broken.setattr(TallyReach, "save", dies)
        with pytest.raises(SystemExit):
            tally.count()
    assert not Tally.objects.exists()
    assert counted() == {"proposals quarantine_file machines": 3}
    assert TallyReach.objects.get().seal == Seal.objects.order_by("-number")[0].number


def test_what_retention_has_dropped_meanwhile_is_left_out() -> None:
    _, dropped = factories.waiting_action(), factories.waiting_action()
    sealing.seal()
    Action.objects.filter(pk=dropped.pk).delete()
    assert counted() == {"proposals quarantine_file machines": 1}
