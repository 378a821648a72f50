"""A small estate and a clock for what only the simulator does; a real mail server behind a line that can be cut."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Request, Target
from actioncenter.estate.mail.dovecot import Dovecot
from tests.connectors.imap_harness import ImapHarness
from tests.connectors.imap_proxy import Proxy, certificate
from tests.connectors.sieve_proxy import SieveProxy
from tests.connectors.simulator_harness import SimulatorHarness


# Before a sample is taken of what is left.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A suite that names its types in `only` runs for those; it has a test of its own that declines the others."""
    left_out = [item for item in items if isinstance(item, pytest.Function) and _is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Function) -> bool:
    only = getattr(item.cls, "only", None)
    kind = item.callspec.params.get("kind") if hasattr(item, "callspec") else None
    return bool(only) and isinstance(kind, ActionType) and kind not in only


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


@pytest.fixture(scope="session")
def line(dovecot_service: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("line")
    proxy = Proxy(dovecot_service.port, certificate(folder / "mail.pem"), certificate(folder / "other.pem"))
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def sieve_line(dovecot_service: Dovecot, line: Proxy) -> Iterator[SieveProxy]:
    proxy = SieveProxy(dovecot_service.sieve_port, line.shown)
    yield proxy
    proxy.close()


@pytest.fixture
def harness(dovecot_service: Dovecot, line: Proxy, sieve_line: SieveProxy, tmp_path: Path) -> ImapHarness:
    return ImapHarness(dovecot_service, line, sieve_line, tmp_path)
