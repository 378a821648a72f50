"""Actions that are over, decided and undone as somebody says, and reports of them."""

import csv
import io
from datetime import timedelta
from typing import Any

from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ActionType, Decision, Execution, Source
from actioncenter.actions.models import Action
from actioncenter.actions.queries.reports import Asked
from actioncenter.actions.reporting import HEAD
from actioncenter.settings.access import scope_for
from actioncenter.settings.models import DeviceGroup
from tests import factories
from tests.actions.varied import proposed

HOUR = 3600
FILE = "/reports/figures.csv"


def ended(
    decision: Decision = Decision.APPROVED, execution: Execution | None = None, *, ago: timedelta = timedelta(days=10),
    decided: int = HOUR, took: int = 2 * HOUR, by: User | None = None, group: DeviceGroup | None = None,
    kind: ActionType = ActionType.QUARANTINE_FILE, **more: Any,
) -> Action:  # fmt: skip
    """What was proposed `ago`, decided so many seconds later and over after so many."""
    runs = decision in (Decision.APPROVED, Decision.NOT_REQUIRED)
    if execution is None:
        execution = Execution.SUCCEEDED if runs else Execution.NONE
    in_group = {"group_id": group.pk, "group_name": group.name} if group else {}
    action = proposed(kind, name=f"file-{Action.objects.count()}.exe", **in_group)
    person = by or factories.person("mira")
    names = {Decision.EXPIRED: "", Decision.NOT_REQUIRED: "Automation", Decision.WITHDRAWN: "Automation"}
    begin = timezone.now() - ago
    over = begin + timedelta(seconds=took)
    fields: dict[str, Any] = {
        "decision": decision, "execution": execution, "created_at": begin, "history_at": over, "finished_at": over,
        "decided_at": begin + timedelta(seconds=decided), "decided_by": None if decision in names else person,
        "decided_by_name": names.get(decision, person.shown_name), "approved_fingerprint": action.fingerprint,
    }  # fmt: skip
    Action.objects.filter(pk=action.pk).update(**fields | more)
    action.refresh_from_db()
    return action


def take_back(
    action: Action, *, after: timedelta, execution: Execution = Execution.SUCCEEDED, source: Source = Source.MANUAL_DEVICE
) -> Action:  # fmt: skip
    """So long after it was over."""
    assert action.history_at is not None
    undo = ended(
        Decision.NOT_REQUIRED, execution, requested_by=factories.person("mira"), source=source, undo_of=action
    )
    Action.objects.filter(pk=undo.pk).update(created_at=action.history_at + after)
    Action.objects.filter(pk=action.pk).update(undone_by=undo)
    return undo


def asked(who: str = "noa", days: int = 30, **more: Any) -> Asked:
    person, now = factories.person(who), timezone.now()
    return Asked(
        scope_for(person), now - timedelta(days=days), now, person.pk, each_person=who == "noa", **more
    )


def cells(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    head, *rows = csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True)
    assert head == list(HEAD)
    return [dict(zip(head, row, strict=True)) for row in rows]
