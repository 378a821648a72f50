"""`manage.py estate … --hosts`: up, looked at, acted on, down without a trace, however the start ended."""

import json
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from actioncenter.actions.enums import ActionType, Execution
from actioncenter.actions.execution.loop import drain
from actioncenter.audit.actor import Actor
from actioncenter.connectors.ssh import network
from actioncenter.estate import hosts, lab
from actioncenter.estate.services import ServiceMissing
from actioncenter.ops import enrolment
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ConnectorInstance
from investigations.enums import IsolationState
from investigations.models import Binding, Device
from tests.actions.directly import taken
from tests.conftest import skip_for
from tests.connectors.ssh.wires import reaches

pytestmark = [pytest.mark.django_db, pytest.mark.hosts]

TAG = f"e{os.getpid()}"
"""Not that of an estate which somebody has up on this machine."""


@pytest.fixture(autouse=True)
def nothing_left(
    request: pytest.FixtureRequest, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    settings.KEYS_DIR = tmp_path
    monkeypatch.setattr(hosts, "TAG", TAG)
    try:
        packages = lab.missing()
    except ServiceMissing as missing:
        skip_for(request, missing.package, str(missing))
    if packages:
        skip_for(request, packages[0], f"{packages[0]} is not installed")
    yield
    hosts.down()


def estate(*arguments: object) -> Any:
    out = StringIO()
    call_command("estate", *map(str, arguments), "--json", stdout=out)
    return json.loads(out.getvalue())["hosts"]


def left() -> list[str]:
    """Of what `up` made on this machine."""
    found = [*network.NAMESPACES.glob(f"{lab.PREFIX}-{TAG}-*"), lab.STATE / TAG]
    return [str(path) for path in found if path.exists()]


# The hosts outlive the command that starts them, which here is this process.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_up_acted_on_and_down() -> None:
    told = estate("up", "--hosts", 3)
    assert [name for name in told if name.startswith("lab-")] == ["lab-1", "lab-2", "lab-3"]
    assert estate("status") == told
    devices = Device.objects.order_by("name")
    assert [device.critical for device in devices] == [False, False, True]
    groups = {device.group for device in devices if device.group}
    assert [(group.name, group.level, group.level_confirmed) for group in groups] == [
        (hosts.NAME, AutomationLevel.SEMI_ALL, True)
    ]
    with pytest.raises(CommandError, match="up already"):
        estate("up", "--hosts", 1)
    assert len(left()) == 6, "the one that is up goes on: three hosts, a peer, a controller and their folder"

    action = taken(ActionType.ISOLATE_DEVICE, devices[0], isolation="full")
    peer, address = f"{lab.PREFIX}-{TAG}-p", told["lab-1"].split()[0]
    assert reaches(peer, address, 22)
    drain(by=Actor.command("tests"))
    action.refresh_from_db()
    devices[0].refresh_from_db()
    assert (action.execution, Device.objects.get(name="lab-1").isolation) == (
        Execution.SUCCEEDED, IsolationState.FULL,
    )  # fmt: skip
    assert not reaches(peer, address, 22)

    assert estate("down")
    assert left() == []
    instance = ConnectorInstance.objects.get(name=hosts.NAME)
    assert (instance.enabled, instance.settings["canaries"]) == (False, [])
    assert not Binding.objects.exists()
    assert (estate("status"), estate("down")) == (None, False)


def test_a_start_that_breaks_takes_itself_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise enrolment.NotEnrolled("No more.")

    monkeypatch.setattr(enrolment, "register", broken)
    with pytest.raises(CommandError, match="No more"):
        estate("up", "--hosts", 1)
    assert left() == []


@pytest.mark.parametrize("number", [0, lab.MOST + 1])
def test_the_number_of_hosts_makes_sense(number: int) -> None:
    with pytest.raises(CommandError, match=f"1 to {lab.MOST} hosts"):
        estate("up", "--hosts", number)
    assert left() == []
