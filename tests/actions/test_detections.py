"""What a scan found becomes evidence of an investigation, once, and calls for what such evidence calls for."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import ActionType, Source, TargetState
from actioncenter.actions.execution import detecting
from actioncenter.actions.models import Action, Attempt, TargetResult
from investigations.enums import Namespace, Verdict
from investigations.models import DeviceIdentity, Evidence, Investigation
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.directly import taken

pytestmark = pytest.mark.django_db

TOOL = {"path": "/home/ana/tool", "signature": "Own.Test.UNOFFICIAL", "sha256": "ab" * 32, "sha1": "cd" * 20}


@pytest.fixture
def scan(run: Callable[..., None]) -> Action:
    device = factories.device(in_group=factories.group())
    DeviceIdentity.objects.create(device=device, namespace=Namespace.AGENT_ID, value=f"lab/{device.pk}")
    action = taken(ActionType.ANTIVIRUS_SCAN, device)
    run(action)
    return action


def tell(action: Action, *found: Any, state: TargetState = TargetState.SUCCEEDED) -> list[Mapping[str, Any]]:
    attempt = Attempt.objects.get(action=action)
    result = TargetResult(action.targets.get().pk, state, after={"detections": list(found)})
    detecting.hand_over(attempt, [result], by=RUNNER)
    return list(Evidence.objects.order_by("pk").values("name", "facts", "verdict"))


def test_a_detection_is_evidence_and_proposes_what_it_calls_for(scan: Action) -> None:
    (one,) = tell(scan, TOOL)
    assert (one["name"], one["verdict"]) == ("tool", Verdict.MALICIOUS)
    assert one["facts"]["sha256"] == TOOL["sha256"]
    assert tell(scan, TOOL) == [one], "telling it again changes nothing"
    investigation = Investigation.objects.get()
    assert (investigation.source, investigation.devices.get().pk) == ("antivirus", scan.device_id)
    housekeeping.tidy(by=RUNNER)
    proposed = Action.objects.get(type=ActionType.QUARANTINE_FILE)
    assert (proposed.source, proposed.device_id) == (Source.ANTIVIRUS, scan.device_id)
    assert proposed.targets.get().facts["path"] == TOOL["path"]


def test_a_guess_waits_for_a_person(scan: Action) -> None:
    (one,) = tell(scan, {**TOOL, "signature": "Heuristics.Broken.Executable"})
    assert one["verdict"] == Verdict.SUSPICIOUS


@pytest.mark.parametrize(
    "nonsense",
    [None, 7, [], {}, {"path": ""}, {"path": ["/tmp"]}, {"signature": "x"}],
)
def test_what_is_no_detection_is_no_evidence(scan: Action, nonsense: object) -> None:
    assert tell(scan, nonsense) == []


def test_hostile_text_is_cleaned_and_a_false_hash_left_out(scan: Action) -> None:
    (one,) = tell(scan, {"path": "/tmp/a\udcffb\0c", "signature": "x" * 900, "sha256": "zz", "sha1": 5})
    assert one["facts"]["path"] == "/tmp/a\N{REPLACEMENT CHARACTER}b\N{SYMBOL FOR NULL}c"
    assert not {"sha256", "sha1"} & set(one["facts"])


def test_a_scan_that_failed_tells_of_nothing(scan: Action) -> None:
    assert tell(scan, TOOL, state=TargetState.FAILED) == []
