"""Undo of a quarantine, applied to every other instance of the same file: exactly those, each with its own answer."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import Decision, Execution, Source, TargetState
from actioncenter.actions.models import Action, ActionTarget, Conflict
from actioncenter.actions.permissions import NotVisible
from actioncenter.actions.views import everywhere
from actioncenter.settings.models import DeviceGroup
from tests import factories
from tests.actions.conftest import estate, run
from tests.actions.varied import put

__all__ = ["estate", "run"]
Run = Callable[..., None]
pytestmark = pytest.mark.django_db
SHA = "5a" * 32
PANE = {"HX-Request": "true", "HX-Target": "aside#pane"}
HISTORY = "/action-center/history"


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def quarantined(
    run: Run, number: int = 1, *, sha256: str = SHA, home: DeviceGroup | None = None
) -> list[Action]:
    """Each on a device of its own."""
    actions = [factories.waiting_action(home, sha256=sha256) for _ in range(number)]
    for action in actions:
        action.approve(by=factories.actor(factories.person("noa")))
    run(*actions)
    for action in actions:
        action.refresh_from_db()
    return actions


def offered(client: Client, action: Action) -> int:
    """N of "Apply to N more instances of this file" on its page; 0 where that isn't offered."""
    answer = client.get(f"/action-center/actions/{action.pk}")
    shown, more = answer.context["action"], answer.context["action"]["more_instances"]
    text = f"Apply to {more} more instance{'' if more == 1 else 's'} of this file"
    assert (text in answer.content.decode()) == bool(more and shown["can"]["undo"])
    return more if shown["can"]["undo"] else 0


def send(client: Client, action: Action, *, headers: Any = None, **fields: Any) -> Any:
    sent = {"comment": "Our own tool", "instances": "1", "next": HISTORY, **fields}
    return client.post(f"/action-center/actions/{action.pk}/undo", sent, headers=headers)


def undone() -> set[int]:
    return set(Action.objects.filter(undo_of__isnull=False).values_list("undo_of", flat=True))


def in_every_state(run: Run) -> list[Action]:
    """Quarantines of one file, one for each reason that an undo is possible or isn't."""
    free, called_off, failed, hidden, asked, said, back, old, live, newer = quarantined(run, 10)
    Action.objects.filter(pk=hidden.pk).update(group=factories.closed_group())
    by = factories.person("sam").actor()
    asked.undo(by=by, comment="ours")
    called_off.undo(by=by, comment="ours").request_cancel(by=by)
    claimed = put(said.undo(by=by, comment="ours"), Decision.NOT_REQUIRED, Execution.SUCCEEDED)
    claimed.targets.update(state=TargetState.FAILED)
    run(back.undo(by=by, comment="ours"))
    inverse = failed.undo(by=by, comment="ours")
    inverse.targets.update(state=TargetState.FAILED)
    put(inverse, Decision.NOT_REQUIRED, Execution.FAILED)
    Action.objects.filter(pk=old.pk).update(finished_at=F("finished_at") - timedelta(days=31))
    Action.objects.filter(pk=live.pk).update(source=Source.MANUAL_LIVE_RESPONSE)
    # Something else is on its way in the same lane.
    other, waiting = factories.waiting_action(sha256="cd" * 32), factories.waiting_action(sha256=SHA)
    ActionTarget.objects.filter(action=other).update(lane=newer.targets.get().lane)
    put(other, Decision.APPROVED, Execution.QUEUED)
    return [free, called_off, failed, hidden, asked, said, back, old, live, newer, waiting]


def could_be_undone(action: Action) -> bool:
    fresh = Action.objects.get(pk=action.pk)
    try:
        fresh.undo(by=factories.person("mira").actor(), comment="ours")
    except (Conflict, NotVisible):
        return False
    return True


def test_what_is_offered_is_what_can_be_undone(mira: Client, run: Run) -> None:
    [first] = quarantined(run)
    others = in_every_state(run)

    number = offered(mira, first)

    assert [could_be_undone(action) for action in others] == [True] * 3 + [False] * 8
    assert number == 3
    assert offered(mira, first) == 0


def test_exactly_these_are_undone_under_one_approval(mira: Client, run: Run) -> None:
    first, second, third = quarantined(run, 3)
    quarantined(run, sha256="cd" * 32)
    quarantined(run, home=factories.closed_group())
    assert offered(mira, first) == 2

    answer = send(mira, first)

    assert answer.context["tab"] == "history"
    assert answer.context["results"]["title"] == "3 of 3 being undone"
    assert [row["number"] for row in answer.context["results"]["rows"]] == [first.pk, second.pk, third.pk]
    assert {row["code"] for row in answer.context["results"]["rows"]} == {"done"}
    assert answer.context["results"]["rows"][1]["target"] == f"svchost_update.exe on {second.on_name}"
    assert undone() == {first.pk, second.pk, third.pk}
    assert len({action.approval_id for action in Action.objects.filter(undo_of__isnull=False)}) == 1
    run(*Action.objects.filter(undo_of__isnull=False))
    assert ActionTarget.objects.filter(in_force=True, entity=SHA).count() == 1


def test_without_the_tick_the_others_stay(mira: Client, run: Run) -> None:
    first, _ = quarantined(run, 2)

    assert send(mira, first, instances="").status_code == 302

    assert undone() == {first.pk}


def test_which_they_are_is_settled_when_it_is_sent(mira: Client, run: Run) -> None:
    first, second = quarantined(run, 2)
    assert offered(mira, first) == 1
    second.undo(by=factories.person("sam").actor(), comment="mine")
    [late] = quarantined(run)

    rows = send(mira, first).context["results"]["rows"]

    assert [row["number"] for row in rows] == [first.pk, late.pk]


def test_in_the_pane_the_answer_is_the_pane_and_the_list_of_results(mira: Client, run: Run) -> None:
    first, second = quarantined(run, 2)

    answer = send(mira, first, headers=PANE, next=f"{HISTORY}?open={first.pk}")

    text = answer.content.decode()
    assert (answer.status_code, answer["HX-Trigger"]) == (200, "changed")
    assert f'id="action" data-number="{first.pk}"' in text
    assert "2 of 2 being undone" in text
    assert f"/action-center/actions/{second.pk}" in text


def test_on_its_own_page_the_results_stand_too(mira: Client, run: Run) -> None:
    first, _ = quarantined(run, 2)

    answer = send(mira, first, next=f"/action-center/actions/{first.pk}")

    assert "2 of 2 being undone" in answer.content.decode()
    assert answer.context["action"]["number"] == first.pk


def test_at_most_so_many_at_once_and_the_rest_is_told(
    mira: Client, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everywhere, "BULK_LIMIT", 2)
    first, second, _, _ = quarantined(run, 4)

    answer = send(mira, first)

    assert "2 more stay for the next time" in answer.content.decode()
    assert undone() == {first.pk, second.pk}


def test_who_loses_this_one_undoes_none(mira: Client, run: Run) -> None:
    first, second = quarantined(run, 2)
    first.undo(by=factories.person("sam").actor(), comment="mine")

    assert send(mira, first).status_code == 409
    assert send(mira, second, comment="").status_code == 422

    assert undone() == {first.pk}


def test_sent_twice_it_is_one_undo_each(mira: Client, run: Run) -> None:
    first, _ = quarantined(run, 2)
    key = uuid4().hex

    one, two = (send(mira, first, idempotency_key=key) for _ in range(2))

    assert one.content == two.content
    assert Action.objects.filter(undo_of__isnull=False).count() == 2


def test_what_is_refused_for_one_is_told_and_the_others_go_on(mira: Client, run: Run) -> None:
    first, second, third = quarantined(run, 3)
    real = everywhere.bulk.go_on

    def then_somebody_else(sent: Any, by: Any, outcome: Any) -> Any:
        if outcome["left"][0] == second.pk:
            Action.objects.get(pk=second.pk).undo(by=factories.person("sam").actor(), comment="mine")
        return real(sent, by, outcome)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(everywhere.bulk, "go_on", then_somebody_else)
        rows = send(mira, first).context["results"]["rows"]

    assert [row["code"] for row in rows] == ["done", "failed", "done"]
    assert "Already undone" in rows[1]["text"]
    assert undone() == {first.pk, second.pk, third.pk}


def test_who_may_not_undo_is_shown_the_way_to_propose_it(client: Client, run: Run) -> None:
    first, _ = quarantined(run, 2)
    client.force_login(factories.person("kim"))

    text = client.get(f"/action-center/actions/{first.pk}").content.decode()

    assert "Release it everywhere" in text
    assert "more instance" not in text
    assert send(client, first).status_code == 403
    assert undone() == set()


def test_it_costs_as_much_however_many_there_are(mira: Client, run: Run) -> None:
    [first] = quarantined(run)
    costs = []
    for number in (0, 1, 5):
        quarantined(run, number)
        mira.get(f"/action-center/actions/{first.pk}")
        with CaptureQueriesContext(connection) as queries:
            offered(mira, first)
        costs.append(len(queries))
    assert len(set(costs)) == 1, costs
