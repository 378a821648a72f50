"""Actions in any number, made as the product makes them: reported, planned, waiting for a person."""

from collections.abc import Callable
from typing import Any, Final

from actioncenter.accounts.models import User
from actioncenter.actions import intake
from actioncenter.actions.models import Action, ConnectorJob
from actioncenter.audit.actor import Actor
from actioncenter.bench.population.loading import analyse
from actioncenter.settings.enums import AutomationLevel, Role
from actioncenter.settings.models import ConnectorInstance, DeviceGroup
from investigations.intake.recognise import to_document

BY: Final = Actor.command("bench")
AT_ONCE: Final = 100
DECIDED_AT_ONCE: Final = 500


def waiting(number: int, *, say: Callable[[str], None]) -> list[int]:
    """Quarantines of as many files, each on a device of its own. Nothing else is left to do: plans aren't read."""
    say(f"Making {number:,} waiting actions ...")
    group = DeviceGroup.objects.filter(is_default=True)
    group.update(level=AutomationLevel.SEMI_ALL, level_confirmed=True)
    made: list[int] = []
    first = Action.objects.count()
    for start in range(first, first + number, AT_ONCE):
        alerts = [_alert(at) for at in range(start, min(start + AT_ONCE, first + number))]
        raw = {"format": "actioncenter/1", "source": {"name": "bench"}, "alerts": alerts}
        made += [action.pk for action in intake.record(to_document(raw), by=BY).actions]
    ConnectorJob.objects.all().delete()
    analyse()
    return made


def decided(numbers: list[int], by: Actor) -> None:
    for start in range(0, len(numbers), DECIDED_AT_ONCE):
        chunk = numbers[start : start + DECIDED_AT_ONCE]
        for row in Action.objects.approve_many(chunk, by=by, comment="bench"):
            if not row.ok:
                raise RuntimeError(row.message)


def person() -> Actor:
    known = User.objects.filter(username="bench").first()
    return (known or User.objects.enrol("bench", by=BY, roles=[Role.RESPONDER])).actor()


def set_pace(seconds: float, *, calls: int) -> None:
    """How long a call takes, and how many the connector takes at once."""
    for instance in ConnectorInstance.objects.filter(kind="simulator"):
        instance.settings = {**instance.settings, "pace": seconds}
        instance.max_parallel = calls
        instance.save(update_fields=["settings", "max_parallel"])


def _alert(at: int) -> dict[str, Any]:
    facts = {"path": rf"C:\Users\bo\Documents\dropper-{at:06}.exe", "sha256": f"{at:064x}"}
    return {
        "id": f"bench-{at}",
        "title": f"Dropper {at}",
        "created": "2026-03-02T08:15:00Z",
        "severity": "high",
        "incident": f"bench-{at // AT_ONCE}",
        "devices": [{"ref": "d", "name": f"bench-{at:06}", "identities": {"agent_id": f"bench/{at}"}, "os": {"family": "windows"}}],
        "evidence": [{"type": "file", "verdict": "malicious", "device": "d", "facts": facts}],
    }  # fmt: skip
