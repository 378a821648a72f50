"""Whoever may still vote reads nowhere what others said to their votes: every page is opened."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import pytest
from django.db.models.functions import Now
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse

from actioncenter.accounts.models import User
from actioncenter.actions.enums import Decision
from actioncenter.actions.models import Action
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ApprovalRule
from tests import factories
from tests.actions.test_votes import planned
from tests.auditor.lives import by
from tests.auditor.test_auditors_change_nothing import ROUTES, WITH_TOKENS

pytestmark = pytest.mark.django_db
SECRET: Final = "zebrawood"
WORDS: Final = ("pending", "isolate", "2026-11")
"""What stands where an address has a word."""
NOTE: Final = "Shown once you have voted or it is decided."


@pytest.fixture
def action() -> Action:
    """One of two votes is cast."""
    ApprovalRule.objects.create(quorum=2)
    for name in ("sam", "mira"):
        factories.person(name).grant(Role.ADMIN, by=factories.SETUP)
    waiting = factories.waiting_action()
    waiting.approve(by=by("sam"), comment=f"Obviously {SECRET}.")
    assert waiting.decision == Decision.PENDING
    return waiting


def vote() -> Event:
    """Sam's, in the log."""
    return Event.objects.filter(kind=Kind.ACTION_VOTED).earliest("pk")


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(factories.person(name))
    return client


def addresses(action: Action) -> Iterator[str]:
    """Of every page, about the action and its investigation, device, group and events where it is about something."""
    events = Event.objects.filter(stream=f"action:{action.pk}").values_list("pk", flat=True)
    numbers = {1, action.pk, action.device_id, action.group_id, action.investigation_id, *events}
    for name, pattern in ROUTES.items():
        if name not in WITH_TOKENS:
            for number in sorted(number for number in numbers if number):
                numbered = re.sub(r"<int:\w+>", str(number), pattern)
                for word in WORDS if "<" in numbered else ("",):
                    yield re.sub(r"<(slug|str):\w+>", word, numbered)
    pending = reverse("actions:pending")
    log = reverse("auditor:events")
    yield from (f"{pending}?open={action.pk}", f"{reverse('actions:export', args=['pending', 'jsonl'])}")
    yield from (
        f"{log}?subject=A-{action.pk}",
        f"{log}?actor={vote().actor}",
        f"{log}?kind={Kind.ACTION_VOTED}",
    )


def telling(client: Client, addresses: Iterable[str]) -> set[str]:
    """Those whose pages or files have the words."""
    found = set()
    for address in addresses:
        answer = client.get(address)
        body = answer.getvalue() if isinstance(answer, StreamingHttpResponse) else answer.content
        if SECRET in body.decode(errors="replace"):
            found.add(address)
    return found


def own_pages(action: Action) -> set[str]:
    return {
        reverse("actions:detail", args=[action.pk]),
        reverse("auditor:story", args=[action.pk]),
        reverse("auditor:event", args=[vote().pk]),
    }


@pytest.mark.oversight("HO-001")
def test_no_page_tells_an_admin_who_may_still_vote(action: Action) -> None:
    mira = signed_in("mira")
    assert telling(mira, addresses(action)) == set()
    for address in own_pages(action):
        assert NOTE in mira.get(address).content.decode(), address


def test_an_auditor_and_whoever_has_voted_read_it(action: Action) -> None:
    for name in ("ivo", "sam"):
        assert telling(signed_in(name), own_pages(action)) == own_pages(action)


@pytest.mark.parametrize("then", ["she votes", "somebody decides", "it expires", "she may no longer vote"])
def test_it_is_told_afterwards(action: Action, then: str) -> None:
    mira = factories.person("mira")
    match then:
        case "she votes":
            ApprovalRule.objects.update(quorum=3)
            Action.objects.filter(pk=action.pk).update(approval_rule={**action.approval_rule, "quorum": 3})
            action.approve(by=by("mira"))
        case "somebody decides":
            action.reject(by=by("noa"), comment="No.")
        case "it expires":
            Action.objects.filter(pk=action.pk).update(expires_at=Now())
        case _:
            mira.grant(Role.AUDITOR, by=factories.SETUP)
            _only_auditor(mira)
    client = signed_in("mira")
    assert telling(client, own_pages(action)) == own_pages(action)
    assert vote().pk in found(client)


def _only_auditor(person: User) -> None:
    for role in (Role.ADMIN, Role.RESPONDER, Role.EMAIL_RESPONDER):
        person.revoke(role, by=factories.SETUP)


@pytest.mark.parametrize("since", ["changed", "planned anew"])
def test_a_vote_that_no_longer_counts_opens_nothing(action: Action, since: str) -> None:
    """She voted for what it was before, and may vote again."""
    Action.objects.filter(pk=action.pk).update(approval_rule={**action.approval_rule, "quorum": 3})
    planned(action, "a" * 64)
    action.approve(by=by("mira"))
    assert telling(signed_in("mira"), own_pages(action)) == own_pages(action)
    if since == "changed":
        Action.objects.filter(pk=action.pk).update(revision=2)
    else:
        planned(action, "b" * 64)
    assert telling(signed_in("mira"), own_pages(action)) == set()


def found(client: Client) -> list[int]:
    shown = client.get(reverse("auditor:events"), {"q": SECRET})
    return [row["number"] for row in shown.context["rows"]]


def test_no_search_finds_it_by_its_words(action: Action) -> None:
    """Guessing words would be reading it."""
    mira = signed_in("mira")
    assert found(mira) == []
    assert "left out of a search" in mira.get(reverse("auditor:events"), {"q": SECRET}).content.decode()
    assert vote().pk in found(signed_in("ivo"))
    assert vote().pk in found(signed_in("sam"))
    shown = mira.get(reverse("auditor:events"), {"subject": action.label})
    assert vote().pk in [row["number"] for row in shown.context["rows"]]
