"""One decision for everything that a list shows, on all its pages, settled when it is sent."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils.html import escape

from actioncenter.actions.enums import ActionType, Decision, Execution, Risk
from actioncenter.actions.models import Action
from actioncenter.actions.views import matching
from tests import factories
from tests.actions.conftest import estate, run
from tests.actions.varied import proposed

__all__ = ["estate", "run"]
pytestmark = pytest.mark.django_db
NOTICE = {"HX-Request": "true", "HX-Target": "div#notice"}
LIST = "/action-center/pending?type=quarantine_file&size=25"
OFFER = "Everything in this list, on every page"


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def send(client: Client, verb: str, path: str = LIST, **fields: Any) -> Any:
    """With the first row ticked too, as a person has it who sees the bar."""
    ticked = Action.objects.order_by("pk").values_list("pk", flat=True)[:1]
    data = {"verb": verb, "everything": "1", "selected": [f"{pk}:1" for pk in ticked], "next": path, **fields}
    return client.post("/action-center/bulk", data, headers=NOTICE)


def queue(number: int) -> list[Action]:
    home, found_in = factories.group(), factories.investigation()
    on = [factories.device(in_group=home) for _ in range(number)]
    return factories.planned(*(factories.file_evidence(device, found_in) for device in on))


def decided() -> int:
    return Action.objects.exclude(decision=Decision.PENDING).count()


def test_it_reaches_every_page_under_one_approval(mira: Client) -> None:
    queue(27)
    page = mira.get(LIST).content.decode()
    assert OFFER in page
    late = factories.waiting_action()

    results = send(mira, "approve").context["results"]
    assert (results["title"], results["rest"]) == ("28 of 28 approved", 0)
    assert len(set(Action.objects.values_list("approval_id", flat=True))) == 1
    late.refresh_from_db()
    assert late.decision == Decision.APPROVED, "what came since the page was drawn belongs to it"


def test_it_is_offered_only_where_there_is_another_page(mira: Client) -> None:
    queue(2)

    assert OFFER not in mira.get(LIST).content.decode()


def test_what_the_list_leaves_out_stays(mira: Client) -> None:
    queue(2)
    hidden, other = factories.waiting_action(factories.closed_group()), proposed(ActionType.ISOLATE_DEVICE)

    assert send(mira, "approve").context["results"]["total"] == 2
    for action in (hidden, other):
        action.refresh_from_db()
        assert action.decision == Decision.PENDING


def test_at_most_so_many_at_once_and_the_rest_is_told(mira: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    actions = queue(5)
    monkeypatch.setattr(matching, "BULK_LIMIT", 3)
    answer = send(mira, "reject", comment="our own tool")

    assert answer.context["results"]["rest"] == 2
    assert "2 more stay for the next time" in answer.content.decode()
    assert decided() == 3
    assert set(Action.objects.waiting()) == set(actions[3:]), "those that expire first go first"


def test_several_kinds_are_refused_with_their_names(mira: Client) -> None:
    queue(1)
    proposed(ActionType.ISOLATE_DEVICE)
    answer = send(mira, "reject", "/action-center/pending", comment="no")

    assert answer.status_code == 422
    assert (
        "several kinds of action: Isolate device, Quarantine file. Narrow it to one"
        in answer.content.decode()
    )
    assert decided() == 0


@pytest.mark.parametrize(
    ("risks", "said"),
    [((Risk.LOW, Risk.MEDIUM), "different risk"), ((Risk.MEDIUM, Risk.HIGH), "high risk"), ((Risk.HIGH,) * 2, "high risk")],
)  # fmt: skip
def test_mixed_risk_bulk_refused(risks: tuple[Risk, Risk], said: str, mira: Client) -> None:
    for action, risk in zip(queue(2), risks, strict=True):
        Action.objects.filter(pk=action.pk).update(risk=risk)
    answer = send(mira, "approve")

    assert (answer.status_code, decided()) == (422, 0)
    assert said in answer.content.decode()
    assert send(mira, "reject", comment="a false alarm").context["results"]["done"] == 2


def test_sent_twice_it_is_decided_once(mira: Client) -> None:
    queue(2)
    key = uuid4().hex
    first = send(mira, "reject", comment="no", idempotency_key=key)
    factories.waiting_action()

    assert send(mira, "reject", comment="no", idempotency_key=key).content == first.content
    assert decided() == 2


def test_everything_in_history_that_can_be_undone(mira: Client, run: Any) -> None:
    actions = queue(3)
    for action in actions:
        action.approve(by=factories.person("mira").actor())
    run(*actions)
    actions[0].undo(by=factories.person("sam").actor(), comment="this one")
    results = send(
        mira, "undo", "/action-center/history?type=quarantine_file", comment="our own tool"
    ).context["results"]

    assert (results["title"], results["rest"]) == ("2 of 2 being undone", 0)
    assert Action.objects.filter(undo_of__in=actions, execution=Execution.QUEUED).count() == 3


@pytest.mark.parametrize(
    "path", ["/reports/", "https://elsewhere.example/action-center/history", "/action-center/history",
             "/action-center/pending?type=nonsense", "/action-center/pending?size=7"],
)  # fmt: skip
def test_a_list_that_is_not_understood_is_never_a_wider_one(path: str, mira: Client) -> None:
    queue(2)
    answer = send(mira, "approve", path)

    # An address of somewhere else counts for nothing: what is left is the whole of Pending.
    if path.startswith("https"):
        assert answer.context["results"]["total"] == 2
    else:
        assert answer.status_code == 422
        assert escape("can't be found") in answer.content.decode()
        assert decided() == 0


def test_without_anything_ticked_nothing_is_decided(mira: Client) -> None:
    queue(2)
    answer = mira.post("/action-center/bulk", {"verb": "approve", "next": LIST}, headers=NOTICE)

    assert (answer.status_code, decided()) == (400, 0)
