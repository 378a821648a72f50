"""A small estate and a clock, for what only the simulator does."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Request, Target
from tests.connectors.simulator_harness import SimulatorHarness


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[SimulatorHarness]:
    with closing(SimulatorHarness(tmp_path)) as harness:
        yield harness


@pytest.fixture
def phish(simulated: SimulatorHarness) -> Callable[..., Target]:
    """A cluster of twelve messages in four mailboxes, one of them outside; facts as given."""
    simulated.estate.seed(
        {
            "mailboxes": [
                {
                    "address": f"person{box}@corp.example",
                    "internal": box != 3,
                    "messages": [
                        {
                            "stable_id": f"m-{box}-{number}",
                            "message_id": f"<{number}@evil.example>",
                            "sender": "Mallory@evil.example",
                            "subject": "Your bill",
                            "urls": ["https://evil.example/pay"],
                            "attachments": [{"name": "bill.zip", "sha256": "a" * 64}],
                        }
                        for number in range(3)
                    ],
                }
                for box in range(4)
            ]
        }
    )

    def cluster(**facts: object) -> Target:
        return Target("c1", TargetKind.CLUSTER, "tenant", facts)

    return cluster


@pytest.fixture
def isolate(simulated: SimulatorHarness) -> Callable[[int], Request]:
    return lambda targets: simulated.request(ActionType.ISOLATE_DEVICE, targets)
