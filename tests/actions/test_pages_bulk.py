"""One decision for many: each row gets its own answer."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from actioncenter.accounts.models import Answer
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action, deciding
from actioncenter.actions.models.deciding import RowResult
from actioncenter.actions.views import bulk
from tests import factories
from tests.actions.test_votes import planned, ready
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
NOTICE = {"HX-Request": "true", "HX-Target": "div#notice"}
PENDING = "/action-center/pending"


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


def send(client: Client, verb: str, selected: list[str], *, page: bool = False, **fields: Any) -> Any:
    data = {"verb": verb, "selected": selected, "next": PENDING, **fields}
    return client.post("/action-center/bulk", data, headers={} if page else NOTICE)


def test_approving_several_decides_each(mira: Client) -> None:
    actions = factories.waiting_actions(3)

    answer = send(mira, "approve", [f"{action.pk}:1" for action in actions])
    results = answer.context["results"]
    assert (answer.status_code, answer["HX-Trigger"], results["title"]) == (200, "changed", "3 of 3 approved")
    assert Action.objects.filter(decision=Decision.APPROVED).count() == 3
    assert len(set(Action.objects.values_list("approval_id", flat=True))) == 1


def test_every_row_says_what_became_of_it(mira: Client) -> None:
    good, decided, changed, expired, hidden = (
        proposed(ActionType.ISOLATE_DEVICE, name=name) for name in "abcde"
    )
    for action in (good, decided, changed, expired, hidden):
        action.targets.update(instance=1)
    decided.reject(by=factories.person("sam").actor(), comment="no")
    changed.edit({"isolation": "selective", "hours": 0}, by=factories.person("sam").actor(), revision=1)
    Action.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    Action.objects.filter(pk=hidden.pk).update(group=factories.closed_group())

    factories.prove(mira)
    numbers = [action.pk for action in (good, decided, changed, expired, hidden)]
    rows = send(mira, "approve", [f"{number}:1" for number in [*numbers, 999_999]]).context["results"]["rows"]
    assert [row["code"] for row in rows] == ["done", "conflict", "changed", "expired", "denied", "denied"]
    assert re.fullmatch(
        r"Already rejected by Sam Okoye at \d\d:\d\d:\d\d UTC\. Nothing will be done\.", rows[1]["text"]
    )
    assert re.match(
        r"Changed by Sam Okoye at \d\d:\d\d:\d\d UTC\. It still waits for a decision\.", rows[2]["text"]
    )
    assert "isolation was full, is now selective" in rows[2]["text"]
    assert re.match(r"Expired undecided at \d\d:\d\d:\d\d UTC\.", rows[3]["text"])
    assert rows[4]["text"] == rows[5]["text"].replace("999999", str(hidden.pk))


def test_what_was_edited_is_not_decided_on_by_a_row_that_does_not_say_what_it_saw(mira: Client) -> None:
    action = proposed(ActionType.ISOLATE_DEVICE)
    action.edit({"isolation": "selective", "hours": 0}, by=factories.person("sam").actor(), revision=1)

    (row,) = send(mira, "reject", [str(action.pk)], comment="blind").context["results"]["rows"]
    assert row["code"] == "changed"
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


def test_a_row_with_an_old_plan_is_told_what_the_new_one_says(mira: Client) -> None:
    action, old = ready(), "a" * 64
    planned(action, old, targets=["a"])
    planned(action, "b" * 64, targets=["a", "b"])

    (row,) = send(mira, "approve", [f"{action.pk}:1:{old[:8]}"]).context["results"]["rows"]
    assert row["code"] == "changed"
    assert re.fullmatch(
        r"A new plan was made at \d\d:\d\d:\d\d UTC\. It still waits for a decision\. Now: targets: was 1, is now 2\.",
        row["text"],
    )
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


def test_several_types_at_once_are_refused_with_the_reason(mira: Client) -> None:
    first, second = proposed(), proposed(ActionType.ISOLATE_DEVICE)

    answer = send(mira, "approve", [f"{first.pk}:1", f"{second.pk}:1"])
    assert answer.status_code == 422
    assert "All selected actions must be of the same type." in answer.content.decode()
    assert not Action.objects.filter(decision=Decision.APPROVED).exists()


def test_without_scripts_the_list_comes_back_with_the_answers(mira: Client) -> None:
    actions = factories.waiting_actions(2)
    state = f"{PENDING}?verdict=malicious&sort=-target"

    answer = send(
        mira, "reject", [f"{action.pk}:1" for action in actions], page=True, comment="benign", next=state
    )
    assert (answer.status_code, answer.context["tab"]) == (200, "pending")
    assert "2 of 2 rejected" in answer.content.decode()
    assert answer.context["list_url"] == state


def test_undoing_several(mira: Client) -> None:
    actions = [put(action, Decision.APPROVED, Execution.SUCCEEDED) for action in factories.waiting_actions(2)]
    for action in actions:
        action.targets.update(state=5)
    selected = [f"{action.pk}:1" for action in actions]

    assert send(mira, "undo", selected).status_code == 422
    rows = send(mira, "undo", selected, comment="wrong").context["results"]["rows"]
    assert [row["code"] for row in rows] == ["done", "done"]
    assert Action.objects.filter(undone_by__isnull=False).count() == 2
    undone = Action.objects.filter(undo_of__isnull=False).values_list("approval_id", flat=True)
    assert None not in undone
    assert len(set(undone)) == 1


def all_busy(*_: Any) -> None:
    """What a vote in the same name between reading and locking breaks; every row is then taken alone."""
    raise IntegrityError


@pytest.mark.parametrize("verb", ["approve", "reject", "undo"])
def test_who_is_shut_out_halfway_still_reads_what_was_recorded(
    mira: Client, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = factories.waiting_actions(3)
    if verb == "undo":
        for action in actions:
            put(action, Decision.APPROVED, Execution.SUCCEEDED).targets.update(state=5)
    real_alone, real_free = bulk._alone, deciding._decide_free

    def then_shut_out(*args: Any) -> RowResult:
        monkeypatch.setattr(deciding, "_decide_free", real_free)
        result = real_alone(*args)
        factories.person("mira").deactivate(by=factories.SETUP)
        return result

    monkeypatch.setattr(deciding, "_decide_free", all_busy)
    monkeypatch.setattr(bulk, "_alone", then_shut_out)
    mira.get(PENDING)
    selected = [f"{action.pk}:1" for action in actions]
    answer = send(mira, verb, selected, comment="wrong", idempotency_key="k" * 32)

    rows = answer.context["results"]["rows"]
    assert (answer.status_code, [row["code"] for row in rows]) == (200, ["done", "denied", "denied"])
    assert {row["text"] for row in rows[1:]} == {"Only a signed-in, active person may do this."}
    kept = Answer.objects.get(key="k" * 32)
    assert (kept.status, kept.outcome["left"]) == (200, [])


@pytest.mark.parametrize("username", ["ivo", "kim"])
def test_without_the_role_every_row_is_denied(client: Client, username: str) -> None:
    client.force_login(factories.person(username))
    action = factories.waiting_action()

    assert [
        row["code"] for row in send(client, "approve", [f"{action.pk}:1"]).context["results"]["rows"]
    ] == ["denied"]
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


@pytest.mark.parametrize(
    "fields",
    [
        {"selected": []}, {"selected": ["x"]}, {"selected": ["1:2:3"]}, {"selected": ["-1"]}, {"selected": ["0"]},
        {"selected": [str(2**64)]}, {"selected": ["1\x00"]}, {"selected": ["٣"]}, {"verb": "delete"}, {"verb": ""},
        {"comment": "\x00"}, {"comment": "x" * 5000}, {"selected": [str(number) for number in range(1, 502)]},
        {"next": "\x00"},
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_nothing_happens(mira: Client, fields: dict[str, Any]) -> None:
    action = factories.waiting_action()
    data = {"verb": "approve", "selected": [f"{action.pk}:1"], "next": PENDING, **fields}

    for headers in ({}, NOTICE):
        answer = mira.post("/action-center/bulk", data, headers=headers)
        assert answer.status_code == 400
        assert "Nothing was recorded." in answer.content.decode()
        assert "data-notice" in answer.content.decode()
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


def test_what_was_decided_together_is_followed_until_it_is_over(
    mira: Client, run: Callable[..., None]
) -> None:
    """The address holds it, so it survives a reload; nothing else of the list counts."""
    actions = factories.waiting_actions(3)
    factories.waiting_action().approve(by=factories.person("sam").actor())
    answer = send(mira, "approve", [f"{action.pk}:1" for action in actions])
    follow = answer.context["results"]["follow"]
    assert follow in answer.content.decode()

    assert '<progress max="3" value="0"' in mira.get(follow).content.decode()
    run(actions[0])
    done = mira.get(follow)
    assert done.context["together"] == {"total": 3, "over": 3, "succeeded": 3, "unclear": 0, "short": 0}
    assert '<progress max="3" value="3"' in done.content.decode()
    Action.objects.filter(pk=actions[1].pk).update(group=factories.closed_group())
    assert mira.get(follow).context["together"]["total"] == 2, "one that I may not see isn't counted"


def test_what_did_not_succeed_of_it_is_told(mira: Client) -> None:
    actions = factories.waiting_actions(4)
    follow = send(mira, "approve", [f"{action.pk}:1" for action in actions]).context["results"]["follow"]
    for action, end in zip(actions, ("SUCCEEDED", "FAILED", "CANCELLED", "OUTCOME_UNKNOWN"), strict=True):
        over = None if end == "OUTCOME_UNKNOWN" else timezone.now()
        Action.objects.filter(pk=action.pk).update(execution=Execution[end], history_at=over)
    page = mira.get(follow)
    assert page.context["together"] == {"total": 4, "over": 3, "succeeded": 1, "unclear": 1, "short": 2}
    assert "<b>2</b> of them did not succeed, <b>1</b> needs a look" in page.content.decode()


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_there_is_nothing_to_follow_for_one_or_for_what_was_rejected(mira: Client, verb: str) -> None:
    actions = factories.waiting_actions(1 if verb == "approve" else 2)
    answer = send(mira, verb, [f"{action.pk}:1" for action in actions], comment="No")
    assert answer.context["results"]["follow"] == ""
