"""What is told of the past stays told, whoever or whatever it names is renamed or deleted since."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import transaction
from django.test import Client

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ActionType, Execution
from actioncenter.actions.models import Action
from actioncenter.audit.models import Event
from actioncenter.auditor import packs
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ApprovalRule, ConnectorInstance, DeviceGroup
from investigations.models import Device, Investigation
from tests import factories
from tests.actions.conftest import estate, run
from tests.actions.directly import taken
from tests.auditor.lives import Run, by

__all__ = ["estate", "run"]
pytestmark = pytest.mark.django_db
NAME: Final = "ENG-WS-087"
RENAMED: Final = "renamed since"


@pytest.fixture
def told(run: Run, estate: Estate) -> Action:
    """Voted on by two under a rule, done through a connector on a device of a group, and taken back."""
    ApprovalRule.add(by=by("noa"), quorum=2)
    home = factories.group()
    found = factories.file_evidence(factories.device(NAME, in_group=home))
    (action,) = factories.planned(found)
    action.approve(by=by("mira"), comment="Not ours.")
    action.approve(by=by("sam"), comment="Nor mine.")
    run(action)
    assert action.execution == Execution.SUCCEEDED
    run(action.undo(by=by("mira"), comment="It was ours."))
    run(taken(ActionType.ANTIVIRUS_SCAN, factories.device(in_group=home)))
    return Action.objects.get(pk=action.pk)


def _people() -> Any:
    return User.objects.filter(username__in=["mira", "sam"])


def _rename_people() -> None:
    for person in _people():
        User.objects.filter(pk=person.pk).update(display_name=RENAMED, username=f"renamed-{person.pk}")


RENAMES: Final[dict[str, Callable[[], Any]]] = {
    "people": _rename_people,
    "group": lambda: DeviceGroup.objects.filter(is_default=False).update(name=RENAMED),
    "device": lambda: Device.objects.update(name=RENAMED),
    "connector": lambda: ConnectorInstance.objects.update(name=RENAMED),
    "investigation": lambda: Investigation.objects.update(title=RENAMED),
}
DELETES: Final[dict[str, Callable[[], Any]]] = {
    "people": lambda: _people().delete(),
    "group": lambda: DeviceGroup.objects.get(is_default=False).remove(by=by("noa")),
    "device": lambda: Device.objects.all().delete(),
    "connector": lambda: ConnectorInstance.objects.all().delete(),
    "rule": lambda: ApprovalRule.objects.get().remove(by=by("noa")),
}
"""Investigations go only together with their actions (`manage.py retention`)."""
CHANGES: Final = {f"{name} renamed": change for name, change in RENAMES.items()} | {
    f"{name} deleted": change for name, change in DELETES.items()
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_past_keeps_its_names(told: Action, change: str, tmp_path: Path) -> None:
    factories.person("noa")
    before = everything_told(told, tmp_path / "before.zip")
    with transaction.atomic():
        CHANGES[change]()
    after = everything_told(told, tmp_path / "after.zip")
    for place, text in before.items():
        assert after[place] == text, place


def everything_told(action: Action, pack: Path) -> dict[str, Any]:
    noa = Client()
    noa.force_login(factories.person("noa"))
    page = f"/action-center/actions/{action.pk}"
    streams = [f"action:{pk}" for pk in Action.objects.order_by("pk").values_list("pk", flat=True)]
    packs.write(pack, packs.of_action(action.pk), by=by("ivo"))
    whole = pack.with_name(f"whole-{pack.name}")
    packs.write(whole, packs.of_investigation(action.investigation_id), by=by("ivo"))
    proposed = Event.objects.get(stream=f"action:{action.pk}", kind="action.proposed")
    audit = {
        address: words(noa.get(address).content.decode(), start)
        for address, start in (
            (f"/audit/actions/{action.pk}", 'id="chapter-1"'),
            (f"/audit/events/{proposed.pk}", "<h1"),
            (f"/audit/events?subject=action:{action.pk}", "<tbody"),
        )
    }
    return audit | {
        "investigation's pack": whole.read_bytes(),
        "history": words(noa.get("/action-center/history").content.decode(), "<tbody"),
        "page": words(noa.get(page).content.decode(), "<h1"),
        "events": list(Event.objects.filter(stream__in=streams).order_by("pk").values()),
        "pack": pack.read_bytes(),
    }


def words(page: str, start: str) -> list[str]:
    """What stands in the middle of a page, without what makes it clickable."""
    main = page[page.index(start) : page.index("</main")]
    shown = re.sub(r"<form\b.*?</form>", " ", main, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", "\n", shown)).split()
