"""A form sent again: one effect, one answer, and nobody else's."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from actioncenter.accounts import answers
from actioncenter.accounts.models import Answer
from actioncenter.actions import housekeeping
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.answering")]


def client_of(name: str) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(factories.person(name))
    return client


@pytest.fixture
def mira() -> Client:
    return client_of("mira")


def send(client: Client, key: str = "k1", path: str = "/do", **more: Any) -> Any:
    headers = more.pop("headers", {})
    return client.post(path, {"idempotency_key": key, **more}, headers=headers)


def effects() -> int:
    return Event.objects.filter(kind=Kind.SESSION_ENDED).count()


def told(answer: Any) -> tuple[int, bytes, str | None]:
    return answer.status_code, answer.content, answer.get("HX-Trigger")


@pytest.mark.parametrize("late", ["", "yes"], ids=["done", "conflict"])
def test_sent_again_it_gets_the_very_same_answer_and_does_nothing(mira: Client, late: str) -> None:
    first = send(mira, late=late)

    assert told(first) == told(send(mira, late=late)) == told(send(mira, late=late, csrfmiddlewaretoken="x"))
    assert (first.status_code, effects()) == ((409, 0) if late else (200, 1))


def test_every_key_does_it_once_more(mira: Client) -> None:
    assert told(send(mira, "k1")) != told(send(mira, "k2"))
    assert effects() == 2


def test_without_a_key_every_request_is_the_first(mira: Client) -> None:
    assert told(send(mira, "")) != told(send(mira, ""))
    assert (effects(), Answer.objects.count()) == (2, 0)


@pytest.mark.parametrize(
    "other", [{"comment": "b"}, {"path": "/other"}, {"path": "/do?x=1"}, {"headers": {"HX-Request": "true", "HX-Target": "main#pane"}}]
)  # fmt: skip
def test_the_key_of_another_form_is_refused(mira: Client, other: dict[str, Any]) -> None:
    send(mira, comment="a")

    refused = send(mira, **{"comment": "a", **other})
    assert refused.status_code == 422
    assert "already sent with something else in it" in refused.content.decode()
    assert effects() == 1


def test_somebody_else_may_have_the_same_key(mira: Client) -> None:
    assert told(send(mira)) != told(send(client_of("sam")))
    assert effects() == 2


def test_what_can_be_put_right_is_not_kept(mira: Client) -> None:
    assert send(mira, wrong="yes").status_code == 422
    assert effects() == 0
    assert send(mira).status_code == 200
    assert effects() == 1


@pytest.mark.parametrize("key", ["x" * 101, "a\x00b", "a\nb"], ids=["long", "nul", "line break"])
def test_no_form_of_ours_has_such_a_key(mira: Client, key: str) -> None:
    assert send(mira, key).status_code == 400
    assert effects() == 0


def test_the_message_comes_with_each_answer_that_leads_on(mira: Client) -> None:
    for _ in range(2):
        assert send(mira, page="yes")["Location"] == "/page"
        assert "Done." in mira.get("/action-center/pending").content.decode()
    assert effects() == 1


def test_an_answer_that_was_never_shown_is_rendered_from_the_outcome(mira: Client) -> None:
    send(mira)
    Answer.objects.update(status=None, body="", headers={})

    assert told(send(mira)) == told(send(mira))
    assert effects() == 1


def test_steps_that_were_cut_off_are_finished_by_the_next_request(mira: Client) -> None:
    assert send(mira, path="/steps", headers={"X-Cut-Off": "yes"}).status_code == 500
    assert effects() == 1

    assert send(mira, path="/steps").content == b"[1, 2, 3]" == send(mira, path="/steps").content
    assert effects() == 3


def test_steps_need_no_key(mira: Client) -> None:
    assert send(mira, "", path="/steps").content == b"[1, 2, 3]"


def test_answers_are_kept_for_seven_days(mira: Client) -> None:
    for key, age in [("new", 6.9), ("old", 7.1)]:
        send(mira, key)
        Answer.objects.filter(key=key).update(created_at=Now() - timedelta(days=age))

    assert answers.past_keeping().exists()
    housekeeping.tidy(by=Actor.system("test"))
    assert list(Answer.objects.values_list("key", flat=True)) == ["new"]
