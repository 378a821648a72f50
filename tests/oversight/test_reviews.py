"""What was decided alone in an emergency is judged by somebody else, once, on a page of its own."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.actions.forms import MODES
from actioncenter.actions.models import Action, Review
from actioncenter.audit.models import Event
from tests import factories

pytestmark = pytest.mark.django_db
PAGE = "/action-center/reviews"
YES = {"justified": "yes", "comment": "There was no time"}


def owed(action: Action | None = None, who: str = "mira") -> Review:
    """A review as breaking the glass leaves it."""
    made_by = factories.person(who)
    return Review.objects.create(
        action=action or factories.waiting_action(),
        made_by_ref=made_by.ref,
        made_by_name=made_by.shown_name,
        reason="<i>Ransomware</i>",
        due_at=timezone.now() + timedelta(hours=24),
    )


def judge(client: Client, review: Review, who: str, **fields: Any) -> Any:
    client.force_login(factories.person(who))
    return client.post(f"{PAGE}/{review.pk}", {**YES, **fields})


@pytest.mark.oversight("X-9")
def test_another_person_judges_it_once(client: Client) -> None:
    review = owed()
    answers = [judge(client, review, "sam", idempotency_key="k") for _ in range(2)]

    review.refresh_from_db()
    assert [answer.status_code for answer in answers] == [302, 302]
    assert (review.reviewed_by_name, review.justified, review.comment) == ("Sam Okoye", True, YES["comment"])
    assert Event.objects.filter(kind="action.reviewed").count() == 1
    assert judge(client, review, "noa").status_code == 409


@pytest.mark.oversight("X-9")
@pytest.mark.parametrize("who", ["mira", "kim", "aiko", "ivo"])
def test_not_by_oneself_nor_by_who_could_not_have_decided(client: Client, who: str) -> None:
    review = owed()

    assert judge(client, review, who).status_code == 403
    review.refresh_from_db()
    assert review.reviewed_at is None


@pytest.mark.parametrize("missing", [{"justified": ""}, {"comment": " "}, {"justified": "perhaps"}])
def test_a_judgement_says_whether_and_why(client: Client, missing: dict[str, str]) -> None:
    review = owed()

    assert judge(client, review, "sam", **missing).status_code == 422
    review.refresh_from_db()
    assert review.reviewed_at is None


def test_the_page_has_what_is_open_and_what_is_done(client: Client) -> None:
    late, done = owed(), owed()
    Review.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(hours=1))
    judge(client, done, "sam", justified="no")

    shown = client.get(PAGE)
    text = shown.content.decode()
    assert [(row["pk"], row["late"]) for row in shown.context["open"]] == [(late.pk, True)]
    assert [(row["pk"], row["justified"]) for row in shown.context["done"]] == [(done.pk, False)]
    assert "&lt;i&gt;Ransomware" in text
    client.force_login(factories.person("mira"))
    assert client.get(PAGE).context["open"][0]["why_not"] == "Another person reviews what you decided."


def test_out_of_scope_does_not_exist(client: Client) -> None:
    review = owed(factories.waiting_action(factories.closed_group()), "noa")

    assert judge(client, review, "sam").status_code == 404
    assert client.get(PAGE).context["open"] == []


@pytest.mark.oversight("A02")
@pytest.mark.parametrize("mode", sorted(MODES))
def test_decision_mode_recorded(client: Client, mode: str) -> None:
    client.force_login(factories.person("mira"))
    action = factories.waiting_action()

    client.post(f"/action-center/actions/{action.pk}/approve", {"revision": 1, "mode": mode})
    assert [vote.mode for vote in action.votes.all()] == [mode]


@pytest.mark.oversight("A02")
def test_decision_mode_recorded_for_many(client: Client) -> None:
    client.force_login(factories.person("mira"))
    actions = factories.waiting_actions(2)
    selected = [f"{action.pk}:1" for action in actions]

    client.post("/action-center/bulk", {"verb": "reject", "comment": "ours", "selected": selected})
    assert [vote.mode for action in actions for vote in action.votes.all()] == ["bulk", "bulk"]
