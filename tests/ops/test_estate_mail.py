"""`manage.py estate … --mailboxes`: up, looked at, down without a trace, however the start ended."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from actioncenter.audit.models import Event
from actioncenter.connectors.registry import kind
from actioncenter.estate.mail import campaign, dovecot, lifecycle, registering
from actioncenter.estate.mail.dovecot import Dovecot
from actioncenter.settings.models import ConnectorInstance
from investigations.models import Binding

pytestmark = [pytest.mark.django_db, pytest.mark.dovecot]


@pytest.fixture(autouse=True)
def nothing_left(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(lifecycle, "ORDINARY", 4)
    monkeypatch.setattr(lifecycle, "CAMPAIGN", 3)
    yield
    lifecycle.down()


def estate(*arguments: object) -> dict[str, Any]:
    out = StringIO()
    call_command("estate", *map(str, arguments), "--json", stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())["mail"]
    return told


def is_gone(folder: Path) -> bool:
    return not folder.exists() and not dovecot.master_in(folder)


def test_up_status_and_down(tmp_path: Path) -> None:
    told = estate("up", "--mailboxes", 2)
    assert (told["mailboxes"], told["messages"], told["campaign"]) == (2, 14, 6)
    assert estate("status")["running"]
    instance = ConnectorInstance.objects.get(kind="imap")
    options = instance.settings | {"directories": str(tmp_path / "directories")}
    connector = kind("imap").build(options, {"password": _secret(told)})
    assert connector.check().ok
    found = connector.search({"sender": campaign.SENDER}, None)
    assert (len(found.references), found.complete) == (6, True)
    assert Binding.objects.filter(instance=instance).count() == 3
    with pytest.raises(CommandError, match="up already"):
        estate("up", "--mailboxes", 2)
    assert estate("down")
    assert is_gone(Path(told["folder"]))
    assert not list(tmp_path.iterdir())
    assert estate("status") is None
    instance.refresh_from_db()
    assert (instance.enabled, bytes(instance.secret), instance.bindings.count()) == (False, b"", 0)
    assert [event.kind for event in Event.objects.filter(subject=f"connector:{instance.pk}")] == [
        "connector.added", "connector.changed", "connector.enabled",
        "connector.changed", "connector.disabled", "connector.changed",
    ], "bound before, set free and renamed after"  # fmt: skip
    assert not estate("down"), "there is nothing to remove any more"


def _secret(told: dict[str, Any]) -> str:
    return (Path(told["folder"]) / "masters").read_text().partition("{PLAIN}")[2].partition(":")[0]


def test_it_can_be_up_again_under_the_same_name() -> None:
    for _ in range(2):
        estate("up", "--mailboxes", 1)
        estate("down")
    assert ConnectorInstance.objects.filter(kind="imap", enabled=True).count() == 0


def test_a_start_that_breaks_takes_itself_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Dovecot] = []

    def breaks(server: Dovecot, *boxes: object, **numbers: int) -> int:
        started.append(server)
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "load", breaks)
    with pytest.raises(KeyboardInterrupt):
        lifecycle.up(1)
    assert is_gone(started[0].folder)
    assert not list(tmp_path.iterdir())


def test_down_removes_what_a_killed_start_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never came to clean up after itself."""
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "down", lambda: False)
        patch.setattr(registering, "register", lambda server, boxes: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lifecycle.up(1)
    told = estate("status")
    assert told["running"]
    assert estate("down")
    assert is_gone(Path(told["folder"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [0, 1001])
def test_the_number_of_mailboxes_makes_sense(number: int) -> None:
    with pytest.raises(CommandError, match="from 1 to 1000"):
        estate("up", "--mailboxes", number)
