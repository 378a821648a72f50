"""A source that reports until it is taken in, and what became of each report."""

import time
from typing import Final

from django.db import Error, connection

from actioncenter.actions import intake
from actioncenter.actions.enums import Decision
from actioncenter.audit.actor import Actor
from actioncenter.bench.chaos.journal import Told
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup
from actioncenter.web.outage import RETRY_AFTER, is_outage
from investigations.intake.recognise import to_document

DEVICES: Final = 200
BY: Final = Actor.command("bench")


def set_level() -> None:
    """Temporary folders are cleaned by themselves, the rest waits for a person."""
    DeviceGroup.objects.filter(is_default=True).update(
        level=AutomationLevel.SEMI_NONTEMP, level_confirmed=True
    )


def name_of(number: int) -> str:
    return f"dropper-{number:06}.exe"


def report(number: int, *, began: float) -> tuple[Told, list[int] | None]:
    """What came of it, and the actions that wait for a person because of it; None: to be sent again.

    `began` is when the run did, by the clock that all processes share.
    """
    at, status, waiting, error = time.monotonic() - began, 200, None, ""
    try:
        receipt = intake.record(to_document(_raw(number)), by=BY)
        waiting = [action.pk for action in receipt.actions if action.decision == Decision.PENDING]
    except Error as problem:
        # A person would be answered just so.
        status, error = 503 if is_outage(problem) else 500, f"{problem}"
        connection.close()
    told = Told("intake", at, time.monotonic() - began, status, str(RETRY_AFTER), error)
    return told, waiting


def _raw(number: int) -> dict[str, object]:
    name, device = name_of(number), f"chaos-{number % DEVICES:04}"
    folder = r"C:\Windows\Temp" if number % 10 == 0 else r"C:\Users\bo\Documents"
    facts = {"path": f"{folder}\\{name}", "sha256": f"{number:064x}"}
    evidence = {"type": "file", "verdict": "malicious", "device": "d", "facts": facts}
    alert = {
        "id": f"chaos-{number}",
        "title": f"Dropper {number}",
        "created": "2026-03-02T08:15:00Z",
        "severity": "high",
        "incident": f"chaos-{number // 2}",
        "devices": [{"ref": "d", "name": device, "identities": {"agent_id": f"chaos/{device}"}, "os": {"family": "windows"}}],
        "evidence": [evidence],
    }  # fmt: skip
    return {"format": "actioncenter/1", "source": {"name": "chaos"}, "alerts": [alert]}
