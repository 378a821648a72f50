"""Approvals faster than anybody reads: counted, for a team and for oneself, never for somebody else."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.enums import Choice, Decision
from actioncenter.actions.models import Action, Vote
from actioncenter.actions.queries.hasty import READING, TEAM, hasty
from actioncenter.auditor.models import PageView
from tests import factories
from tests.actions.ended import FILE, asked, cells, ended
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
PAGE = "/reports/"


def approved(action: Action, by: User, *, opened: float | None = None, mode: str = "click") -> None:
    """A vote for it, so many seconds after this person first looked at it, and looked again at once."""
    at = action.decided_at or timezone.now()
    Vote.objects.create(
        action=action, revision=1, fingerprint=action.fingerprint, choice=Choice.APPROVE, user=by, user_ref=by.ref,
        user_name=by.shown_name, mode=mode, cast_at=at,
    )  # fmt: skip
    if opened is not None:
        for before in (opened, 0.0):
            PageView.objects.create(
                at=at - timedelta(seconds=before), actor=by.ref, actor_name=by.shown_name, page="actions:detail",
                subject=f"action:{action.pk}", address=f"/action-center/actions/{action.pk}",
            )  # fmt: skip


def team(number: int) -> list[User]:
    return [
        User.objects.enrol(f"p{at}", by=factories.SETUP, display_name=f"Person {at}") for at in range(number)
    ]


def test_approvals_faster_than_reading() -> None:
    mira = factories.person("mira")
    for opened in (READING + 30, READING + 1, READING - 2, 0, None):
        approved(ended(), mira, opened=opened)
    approved(ended(), mira, mode="bulk")
    approved(ended(ago=timedelta(days=100)), mira)
    ended(Decision.NOT_REQUIRED)

    mine, team = hasty(asked("mira", days=365), timezone.now())
    assert (mine.approvals, mine.quick, mine.unopened, mine.in_bulk, mine.total) == (6, 2, 1, 1, 4)
    assert mine == team


def test_somebody_elses_look_is_not_ones_own() -> None:
    sam = factories.person("sam")
    action = ended()
    approved(action, factories.person("mira"))
    PageView.objects.create(
        at=timezone.now() - timedelta(days=20), actor=sam.ref, actor_name="Sam", page="actions:detail",
        subject=f"action:{action.pk}", address="/",
    )  # fmt: skip

    assert hasty(asked("mira"), timezone.now())[0].unopened == 1


@pytest.mark.oversight("X-6")
@pytest.mark.parametrize("people", [TEAM - 1, TEAM])
def test_signals_private(client: Client, people: int) -> None:
    """A team is counted from five on; nobody reads what one other person did, however he asks."""
    for person in team(people):
        approved(ended(), person)
    for who in ("noa", "ivo", "mira"):
        client.force_login(factories.person(who))
        card = next(c for c in client.get(PAGE, {"by": "person"}).context["cards"] if c.key == "reading")
        assert any("Team" in name for name in card.head) is (people >= TEAM)
        rows = cells(client.get(FILE))
        told = [row["By"] for row in rows if row["Approvals by people"] and row["Name"] != "You"]
        assert told == (["all"] if people >= TEAM else [])


def test_the_shortest_pane_takes_longer_to_read(client: Client) -> None:
    """Ten words in a second are twice what fast readers manage."""
    client.force_login(factories.person("mira"))
    for action in (factories.waiting_action(), factories.waiting_mail_action(), proposed()):
        pane: Any = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "aside#pane"}
        text = client.get(f"/action-center/actions/{action.pk}", **pane).content.decode()
        assert len(re.sub(r"<[^>]*>", " ", text).split()) >= READING * 10
