"""The explorer as people use it: search, read the clusters, tick, say why, confirm."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action, MailSearch
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.test_exploring import MALLORY, mail, searched

__all__ = ["mail"]
pytestmark = pytest.mark.django_db
Run = Callable[..., None]
EXPLORER = "/email/explorer"


def signed_in(who: str) -> Client:
    client = Client()
    client.force_login(factories.person(who))
    factories.prove(client)
    return client


def page(client: Client, address: str, **sent: Any) -> str:
    answer = client.get(address, sent)
    assert answer.status_code == 200
    return answer.content.decode()


def at(search: MailSearch) -> str:
    return f"{EXPLORER}/{search.pk}"


def test_from_the_form_to_the_clusters(mail: Estate, run: Run) -> None:
    aiko = signed_in("aiko")
    asked = aiko.post(EXPLORER, {"sender": MALLORY, "subject_part": "bill"})
    search = MailSearch.objects.get()
    assert asked["Location"] == at(search)
    assert "Searching" in page(aiko, at(search))
    run()
    text = page(aiko, at(search))
    assert "Answered" in text
    assert "<b>4</b>messages" in text
    assert "Mail from mallory@evil.example, with bill in the subject" in page(aiko, EXPLORER).replace(
        "<wbr>", ""
    )


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "fill in at least one field"),
        ({"since": "2026-11-30T10:00"}, "fill in at least one field"),
        ({"attachment_name": "bill.zip"}, "Every message would have to be opened"),
        ({"attachment_sha256": "abc", "sender": MALLORY}, "64 hexadecimal digits"),
        ({"sender": MALLORY, "since": "2026-11-30T10:00", "until": "2026-11-29T10:00"}, "has to come before"),
    ],
)
def test_what_cannot_be_searched_is_said(mail: Estate, form: dict[str, str], said: str) -> None:
    answer = signed_in("aiko").post(EXPLORER, form)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not MailSearch.objects.exists()


@pytest.mark.parametrize(
    ("form", "criteria"),
    [
        ({"sender": "@evil.example"}, {"sender_domain": ["evil.example"]}),
        ({"sender": "evil.example"}, {"sender_domain": ["evil.example"]}),
        ({"message_id": "bill@evil.example"}, {"message_id": ["<bill@evil.example>"]}),
        (
            {"mailbox": "a@corp.example", "since": "2026-11-30T10:00"},
            {"mailbox": ["a@corp.example"], "since": 1796032800},
        ),
        ({"recipient": "list@corp.example"}, {"recipient": ["list@corp.example"]}),
    ],
)
def test_what_is_filled_in_is_what_is_asked(
    mail: Estate, form: dict[str, str], criteria: dict[str, Any]
) -> None:
    signed_in("aiko").post(EXPLORER, form)
    assert MailSearch.objects.get().criteria == criteria


def test_the_page_reads_itself_again_until_it_is_answered(mail: Estate, run: Run) -> None:
    aiko = signed_in("aiko")
    search = MailSearch.ask({"sender": [MALLORY]}, by=factories.actor(factories.person("aiko")))
    fragment = {"HX-Request": "true", "HX-Target": "section#mail-search"}
    first = aiko.get(at(search), headers=fragment)
    assert "<html" not in first.content.decode()
    fragment["HX-PTag"] = first["HX-PTag"]
    assert aiko.get(at(search), headers=fragment).status_code == 304
    run()
    assert "Answered" in aiko.get(at(search), headers=fragment).content.decode()


def test_a_cluster_is_opened_and_its_messages_picked(mail: Estate, run: Run) -> None:
    aiko, search = signed_in("aiko"), searched(run)
    hits = {hit.stable_id: hit.pk for hit in search.hits.all()}
    inside = page(aiko, at(search), by="campaign", **{"in": hits["bill-0"]})
    assert all(f'name="hit" value="{hits[f"bill-{number}"]}"' in inside for number in range(4))
    assert f'name="hit" value="{hits["again-0"]}"' not in inside
    form = {
        "do": "soft_delete",
        "by": "campaign",
        "in": hits["bill-0"],
        "ticks": "only",
        "hit": [hits["bill-1"]],
    }
    asked = page(aiko, f"{at(search)}/act", **form)
    assert "It runs at once." in asked
    done = aiko.post(f"{at(search)}/act", {**form, "comment": "It phishes."})
    action = Action.objects.get()
    assert done["Location"].endswith(f"/{action.pk}")
    assert (action.decision, action.targets.get().entity) == (
        Decision.NOT_REQUIRED,
        "person1@corp.example|bill-1",
    )


@pytest.mark.parametrize(
    ("ticks", "messages"), [("but", 3), ("only", 1)]
)  # fmt: skip
def test_ticks_in_a_cluster_are_what_is_meant_or_what_is_not(
    mail: Estate, run: Run, ticks: str, messages: int
) -> None:
    search = searched(run)
    hits = {hit.stable_id: hit.pk for hit in search.hits.all()}
    form = {"do": "quarantine_email", "in": hits["bill-0"], "ticks": ticks, "hit": [hits["bill-1"]]}
    asked = page(signed_in("aiko"), f"{at(search)}/act", **form)
    assert f"<b>{messages}</b>message" in asked


def test_nothing_ticked_is_nothing(mail: Estate, run: Run) -> None:
    search = searched(run)
    inside = search.hits.all()[0].pk
    asked = page(signed_in("aiko"), f"{at(search)}/act", do="soft_delete", ticks="only", **{"in": inside})
    assert "Nothing is left of it" in asked


def test_ticked_clusters_are_those_that_are_taken(mail: Estate, run: Run) -> None:
    """A tick means the same in the list of clusters as among messages."""
    search, aiko = searched(run), signed_in("aiko")
    hits = {hit.stable_id: hit.pk for hit in search.hits.all()}
    both = [hits["bill-0"], hits["again-0"]]
    listed = page(aiko, at(search))
    assert f'name="cluster" value="{min(both)}"' in listed
    assert 'name="ticks" value="only" checked' in listed
    one = {"do": "quarantine_email", "by": "campaign", "ticks": "only", "cluster": both[:1]}
    assert "<b>4</b>message" in page(aiko, f"{at(search)}/act", **one)

    aiko.post(f"{at(search)}/act", {**one, "cluster": both, "comment": "It phishes."})

    actions = list(Action.objects.order_by("pk"))
    run(*actions)
    assert [action.target_count for action in actions] == [4, 4]
    assert len({action.approval_id for action in actions}) == 1
    assert sorted(action.targets.get().facts["criteria"]["subject"] for action in actions) == [
        ["Last call"],
        ["Your bill"],
    ]


def test_no_cluster_ticked_is_nothing_and_too_many_are_too_many(
    mail: Estate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, aiko = searched(run), signed_in("aiko")
    form = {"do": "soft_delete", "by": "mailbox", "ticks": "only"}
    assert "Nothing is left of it" in page(aiko, f"{at(search)}/act", **form)
    monkeypatch.setattr("actioncenter.actions.exploring.MOST_TAKEN", 1)
    firsts = list(search.hits.filter(stable_id__in=["bill-0", "bill-1"]).values_list("pk", flat=True))
    assert "At most 1 clusters" in page(aiko, f"{at(search)}/act", **form, cluster=firsts)


def test_a_query_without_a_cluster_from_the_page_to_the_end(mail: Estate, run: Run) -> None:
    """Who may not act alone proposes it; who may sees on Pending what it touches, and approves that."""
    search = searched(run)
    again = search.hits.get(stable_id="again-0").pk
    form = {"do": "soft_delete", "by": "campaign", "ticks": "but", "cluster": [again]}
    kim = signed_in("kim")
    assert "somebody else decides" in page(kim, f"{at(search)}/act", **form)
    kim.post(f"{at(search)}/act", {**form, "comment": "It phishes."})
    action = Action.objects.get()
    assert action.reason_code == "proposed_by"
    run()
    aiko = signed_in("aiko")
    assert "4 messages in 4 mailboxes" in page(aiko, f"/action-center/actions/{action.pk}")
    aiko.post(f"/action-center/actions/{action.pk}/approve", {"comment": "Seen.", "revision": 1})
    run(action)
    assert (action.execution, action.target_count) == (Execution.SUCCEEDED, 4)


def test_a_limit_is_an_answer_and_no_action(mail: Estate, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actioncenter.actions.exploring.MOST_IN_ALL", 7)
    search, aiko = searched(run), signed_in("aiko")
    answer = aiko.post(f"{at(search)}/act", {"do": "soft_delete", "comment": "It phishes."})
    assert (answer.status_code, Action.objects.count()) == (409, 0)
    assert "one query may touch 7" in answer.content.decode()


def test_who_has_no_role_sees_no_mail(mail: Estate, run: Run) -> None:
    search, nobody = searched(run), signed_in("nobody")
    for address in (at(search), f"{at(search)}/act?do=soft_delete"):
        assert nobody.get(address).status_code == 404
    assert nobody.post(EXPLORER, {"sender": MALLORY}).status_code == 404
    assert MALLORY not in page(nobody, EXPLORER)


def test_an_auditor_reads_and_neither_searches_nor_acts(mail: Estate, run: Run) -> None:
    search, ivo = searched(run), signed_in("ivo")
    assert "Your bill" in page(ivo, at(search))
    assert 'name="do"' not in page(ivo, at(search))
    assert ivo.post(EXPLORER, {"sender": MALLORY}).status_code == 403
    form = {"do": "soft_delete", "comment": "It phishes."}
    assert ivo.post(f"{at(search)}/act", form).status_code == 403
    assert Event.objects.filter(kind=Kind.SEARCH_ASKED).count() == 1


@pytest.mark.parametrize("sent", ["in=x", "in=999999", "do=isolate", "do=", "hit=x&do=soft_delete"])
def test_what_no_page_of_ours_sends_is_refused(mail: Estate, run: Run, sent: str) -> None:
    search, aiko = searched(run), signed_in("aiko")
    address = f"{at(search)}/act" if "do" in sent else at(search)
    assert aiko.get(address, parse_qs(urlsplit(f"?{sent}").query)).status_code in (400, 404)


def test_hostile_text_is_shown_as_text(mail: Estate, run: Run) -> None:
    evil = "<img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}"
    told = {"stable_id": "evil", "message_id": "<e@x>", "sender": "e@evil.example", "subject": evil}
    mail.seed({"mailboxes": [{"address": "evil@corp.example", "messages": [told]}]})
    search, aiko = searched(run, sender="e@evil.example"), signed_in("aiko")
    inside = f"{at(search)}?in={search.hits.get().pk}"
    act = f"{at(search)}/act?do=soft_delete&in={search.hits.get().pk}"
    for text in (page(aiko, at(search)), page(aiko, inside), page(aiko, act)):
        assert "<img src=x" not in text
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
