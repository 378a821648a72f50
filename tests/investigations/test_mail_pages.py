"""The pages of a mailbox and of a message: what is known of them, what a person does by hand, and what happened."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import ActionType, Area, Decision, Execution, Source
from actioncenter.actions.models import Action, MailSearch
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.access import Scope, mailboxes_within
from investigations.enums import EvidenceType, Verdict
from investigations.models import Evidence, Investigation, Mailbox
from investigations.models.messages import message_key
from investigations.queries import bind_to_simulator
from tests import factories
from tests.actions.conftest import estate, run
from tests.investigations.test_device_page import signed_in

__all__ = ["estate", "run"]
Run = Callable[..., None]
pytestmark = pytest.mark.django_db
BILL = "<bill@evil.example>"
KEY = message_key({"message_id": BILL})
BO, KIT = "bo@corp.example", "kit@corp.example"


@pytest.fixture
def mail(estate: Estate) -> Estate:
    """Two people have the bill; Bo forwards his mail and lets Mallory in."""
    told = {
        "sender": "mallory@evil.example",
        "subject": "Your bill",
        "message_id": BILL,
        "received": 1_790_000_000,
    }
    bind_to_simulator([])
    estate.seed(
        {
            "mailboxes": [
                {
                    "address": BO, "internal": True, "messages": [{**told, "stable_id": "b1"}],
                    "forwarding": [{"to": "x@evil.example", "external": True}],
                    "delegates": ["mallory@evil.example"],
                },
                {"address": KIT, "internal": True, "messages": [{**told, "stable_id": "k1"}]},
            ]
        }
    )  # fmt: skip
    return estate


@pytest.fixture
def bo(mail: Estate) -> Mailbox:
    return factories.mailbox(BO)


@pytest.fixture
def aiko(client: Client) -> Client:
    return signed_in(client, "aiko")


def found(kind: EvidenceType, mailbox: Mailbox, **facts: Any) -> Evidence:
    """As ingest stores it; nothing was planned for it."""
    return Evidence.objects.create(
        investigation=factories.investigation("Phish"), type=kind, area=Area.EMAIL, mailbox=mailbox, name="found",
        key=uuid4().hex, verdict=Verdict.MALICIOUS, planned_verdict=Verdict.MALICIOUS, facts=facts,
        message_key=message_key(facts),
    )  # fmt: skip


def searched(run: Run) -> MailSearch:
    made = MailSearch.ask({"message_id": [BILL]}, by=factories.actor(factories.person("aiko")))
    run()
    return made


def page(client: Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, path
    return response.context


def buttons(client: Client, mailbox: Mailbox) -> dict[str, dict[str, Any]]:
    return {button["code"]: button for button in page(client, f"/mailboxes/{mailbox.pk}")["buttons"]}


def rows(client: Client) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = page(client, f"/messages/{KEY}")["rows"]
    return listed


def send(client: Client, path: str, **more: Any) -> HttpResponse:
    return client.post(path, {"comment": "It phishes.", **more})


def taken(client: Client, path: str, **more: Any) -> Action:
    response = send(client, path, **more)
    assert response.status_code == 302, response.content.decode()
    return Action.objects.latest("pk")


def test_forwarding_is_turned_off_by_hand_and_back_on(aiko: Client, bo: Mailbox, run: Run) -> None:
    off = taken(aiko, buttons(aiko, bo)["forwarding_off"]["url"])
    run(off)
    assert (off.decision, off.execution, off.source) == (
        Decision.NOT_REQUIRED, Execution.SUCCEEDED, Source.MANUAL_EMAIL,
    )  # fmt: skip

    shown = page(aiko, f"/mailboxes/{bo.pk}")
    assert [each["label"] for each in shown["in_force"]] == ["Turn off forwarding"]
    assert [entry["label"] for entry in shown["timeline"]] == [off.label]
    back = taken(aiko, buttons(aiko, bo)["forwarding_on"]["url"])
    run(back)

    assert (back.undo_of_id, back.execution) == (off.pk, Execution.SUCCEEDED)
    assert page(aiko, f"/mailboxes/{bo.pk}")["in_force"] == []
    assert "forwarding_off" in buttons(aiko, bo)


def test_each_delegate_that_was_found_can_be_removed(aiko: Client, bo: Mailbox, run: Run) -> None:
    evidence = found(EvidenceType.DELEGATION, bo, delegate="mallory@evil.example")
    button = buttons(aiko, bo)[f"delegation_off-{evidence.pk}"]
    assert button["name"] == "mallory@evil.example"

    action = taken(aiko, button["url"])
    run(action)

    assert (action.execution, action.investigation_id) == (Execution.SUCCEEDED, evidence.investigation_id)
    assert list(action.evidence.all()) == [evidence]
    assert f"delegation_on-{evidence.pk}" in buttons(aiko, bo)


def test_the_same_is_not_asked_for_twice(client: Client, bo: Mailbox) -> None:
    path, key = f"/mailboxes/{bo.pk}/forwarding_off", uuid4().hex
    kim = signed_in(client, "kim")
    first = taken(kim, path, idempotency_key=key)
    again = send(kim, path, idempotency_key=key)

    assert first.decision == Decision.PENDING
    assert again["Location"].endswith(f"/{first.pk}")
    assert send(kim, path).status_code == 409
    assert first.label in buttons(kim, bo)["forwarding_off"]["reason"]
    assert Action.objects.count() == 1


def test_copies_are_known_from_evidence_searches_and_actions(aiko: Client, bo: Mailbox, run: Run) -> None:
    found(EvidenceType.MAIL_MESSAGE, bo, internet_message_id=BILL, subject="Your bill")
    assert [(row["mailbox"], row["ref"][0]) for row in rows(aiko)] == [(BO, "e")]

    search = searched(run)
    assert [(row["mailbox"], row["ref"][0], bool(row["inside_url"])) for row in rows(aiko)] == [
        (BO, "h", True), (KIT, "h", True),
    ]  # fmt: skip
    picked = [row["ref"] for row in rows(aiko)]
    action = taken(aiko, f"/messages/{KEY}/quarantine_email", copy=picked)
    run(action)
    search.hits.all().delete()

    left = rows(aiko)
    assert [(row["mailbox"], row["ref"][0], row["state_code"]) for row in left] == [
        (BO, "t", "succeeded"), (KIT, "t", "succeeded"),
    ]  # fmt: skip
    assert {row["action_label"] for row in left} == {action.label}
    shown = page(aiko, f"/messages/{KEY}")
    assert (shown["known"], shown["boxes"], shown["message"]["subject"]) == (2, 2, "Your bill")
    assert action.label in [entry["label"] for entry in shown["timeline"]]
    assert action.label in [entry["label"] for entry in page(aiko, f"/mailboxes/{bo.pk}")["timeline"]]


def test_only_what_was_picked_is_taken_and_comes_back(aiko: Client, mail: Estate, run: Run) -> None:
    searched(run)
    (bos, kits) = rows(aiko)
    preview = page(aiko, f"/messages/{KEY}/soft_delete?copy={kits['ref']}")
    assert (preview["number"], preview["boxes"], preview["comes"]) == (1, [KIT], "It runs at once.")

    action = taken(aiko, f"/messages/{KEY}/soft_delete", copy=[kits["ref"]])
    run(action)

    assert (action.execution, action.target_count, action.on_name) == (Execution.SUCCEEDED, 1, KIT)
    undo = action.undo(by=factories.actor(factories.person("aiko")), comment="Ours")
    run(undo)
    assert undo.execution == Execution.SUCCEEDED
    assert [row["done"] for row in rows(aiko)] == ["", "Move email back"]
    assert bos["done"] == ""


def test_what_is_being_done_already_is_left_out(client: Client, mail: Estate, run: Run) -> None:
    searched(run)
    kim = signed_in(client, "kim")
    bos, kits = rows(kim)
    first = taken(kim, f"/messages/{KEY}/quarantine_email", copy=[bos["ref"]])
    both = [bos["ref"], kits["ref"]]

    preview = page(kim, f"/messages/{KEY}/quarantine_email?copy={both[0]}&copy={both[1]}")
    assert [twin["label"] for twin in preview["left_out"]] == [first.label]
    second = taken(kim, f"/messages/{KEY}/quarantine_email", copy=both)

    assert (second.on_name, second.target_count) == (KIT, 1)
    assert send(kim, f"/messages/{KEY}/quarantine_email", copy=both).status_code == 409


def test_an_action_joins_the_investigation_that_found_it(aiko: Client, bo: Mailbox, run: Run) -> None:
    evidence = found(EvidenceType.MAIL_MESSAGE, bo, internet_message_id=BILL, subject="Your bill")
    (row,) = rows(aiko)

    action = taken(aiko, f"/messages/{KEY}/soft_delete", copy=[row["ref"]])
    run(action)

    assert action.execution == Execution.SUCCEEDED
    assert (action.investigation_id, action.verdict) == (evidence.investigation_id, Verdict.MALICIOUS)


def test_hard_delete_is_not_for_who_only_may_propose(aiko: Client, mail: Estate, run: Run) -> None:
    searched(run)
    action = taken(aiko, f"/messages/{KEY}/hard_delete", copy=[rows(aiko)[0]["ref"]])
    assert action.decision == Decision.PENDING


@pytest.mark.parametrize(("who", "status"), [("nobody", 404), ("ivo", 403)])
def test_who_may_not_see_or_act_does_not(
    client: Client, bo: Mailbox, run: Run, who: str, status: int
) -> None:
    searched(run)
    (ref, *_) = [row["ref"] for row in rows(signed_in(client, "aiko"))]
    other = signed_in(client, who)
    for path in (f"/mailboxes/{bo.pk}", f"/messages/{KEY}"):
        assert other.get(path).status_code == (404 if status == 404 else 200), path
    for path in (f"/mailboxes/{bo.pk}/forwarding_off", f"/messages/{KEY}/soft_delete"):
        assert send(other, path, copy=[ref]).status_code == status, path
    assert not Action.objects.exists()


def test_the_one_place_says_who_sees_mailboxes(bo: Mailbox) -> None:
    rows_ = Mailbox.objects.all()
    assert list(mailboxes_within(rows_, Scope(None, frozenset({Area.EMAIL})))) == [bo]
    assert not mailboxes_within(rows_, Scope(None, frozenset({Area.DEVICE}))).exists()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mailboxes/999", 404), (f"/messages/{'0' * 64}", 404), ("/messages/abc", 404),
        ("/messages/{key}/forwarding_off", 404), ("/mailboxes/{box}/soft_delete", 404),
        ("/mailboxes/{box}?page=x", 400), ("/messages/{key}?page=x", 400), ("/mailboxes/{box}/delegation_off-7", 404),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(aiko: Client, bo: Mailbox, run: Run, path: str, status: int) -> None:
    searched(run)
    assert aiko.get(path.format(key=KEY, box=bo.pk)).status_code == status


@pytest.mark.parametrize("more", [{"comment": " "}, {"copy": []}, {"copy": ["h999999"]}])
def test_what_is_wrong_is_said_and_nothing_done(
    aiko: Client, mail: Estate, run: Run, more: dict[str, Any]
) -> None:
    searched(run)
    sent = {"copy": [rows(aiko)[0]["ref"]], **more}
    assert send(aiko, f"/messages/{KEY}/soft_delete", **sent).status_code in {403, 422}
    assert not Action.objects.exists()


def test_ways_lead_there(aiko: Client, bo: Mailbox, run: Run) -> None:
    evidence = found(EvidenceType.MAIL_MESSAGE, bo, internet_message_id=BILL, subject="Your bill")
    search = searched(run)
    action = taken(aiko, f"/messages/{KEY}/quarantine_email", copy=[row["ref"] for row in rows(aiko)])
    run(action)
    hit = search.hits.get(mailbox=BO)
    ways = (
        f"/investigations/{evidence.investigation_id}?tab=evidence", f"/email/explorer/{search.pk}/messages/{hit.pk}",
        f"/action-center/actions/{action.pk}", f"/action-center/actions/{action.pk}/targets",
    )  # fmt: skip
    for way in ways:
        text = aiko.get(way).content.decode()
        assert f'href="/mailboxes/{bo.pk}"' in text, way
        assert f'href="/messages/{KEY}"' in text, way
    inside = aiko.get(f"/email/explorer/{search.pk}?in={hit.pk}").content.decode()
    assert f'href="/mailboxes/{bo.pk}"' in inside
    mailboxes = aiko.get(f"/investigations/{evidence.investigation_id}?tab=mailboxes").content.decode()
    assert f'href="/mailboxes/{bo.pk}"' in mailboxes
    form = page(aiko, page(aiko, f"/messages/{KEY}")["message"]["search_url"])["form"]
    assert form["message_id"].value() == BILL


def test_many_copies_cost_the_same(aiko: Client, mail: Estate, run: Run) -> None:
    search = searched(run)
    first = search.hits.first()
    assert first is not None

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(aiko, f"/messages/{KEY}")
        return len(queries)

    cost()
    before = cost()
    model = type(first)
    model.objects.bulk_create(
        model(
            search=search, instance_id=first.instance_id, mailbox=f"p{number}@corp.example", stable_id=f"s{number}",
            message_id=BILL, message_key=KEY,
        )
        for number in range(50)
    )  # fmt: skip
    assert cost() == before


def test_a_key_is_that_of_the_id_however_it_is_written() -> None:
    assert message_key({"internet_message_id": " bill@evil.example "}) == KEY
    assert message_key({"message_id": "other", "internet_message_id": BILL}) == KEY
    assert message_key({"message_id": "<>"}) == ""
    assert len(message_key({"message_id": "\ud800" * 2000})) == 64


def test_nothing_is_taken_for_a_planned_investigation(aiko: Client, bo: Mailbox, run: Run) -> None:
    """What a person does to copies that no evidence names opens no investigation."""
    searched(run)
    taken(aiko, f"/messages/{KEY}/soft_delete", copy=[rows(aiko)[0]["ref"]])
    assert not Investigation.objects.exists()
    assert Action.objects.get().type == ActionType.SOFT_DELETE_EMAIL
