"""One person alone in an emergency: loud, reviewed by another, and only where it is allowed."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.models import Action, Conflict, Invalid, Review
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Via
from actioncenter.audit.models import Event
from actioncenter.settings.models import ApprovalRule, Safeguards
from tests import factories
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
PANE = {"HX-Request": "true", "HX-Target": "aside#pane"}


def by(name: str) -> Actor:
    return factories.actor(factories.person(name))


def ready(**more: Any) -> Action:
    action = proposed(ActionType.ISOLATE_DEVICE, **more)
    action.targets.update(instance=1)
    return action


@pytest.fixture
def two_needed() -> None:
    ApprovalRule.objects.create(quorum=2)
    factories.person("noa")


@pytest.fixture
def broken(two_needed: None) -> Review:
    action = ready().break_the_glass(by=by("mira"), comment="it is spreading")
    return action.review


@pytest.mark.parametrize(("justified", "said"), [(True, "justified"), (False, "not justified")])
def test_the_timeline_tells_what_the_review_found(
    broken: Review, client: Client, justified: bool, said: str
) -> None:
    broken.judge(by=by("sam"), justified=justified, comment="I rang the data centre")
    client.force_login(factories.person("mira"))
    newest = client.get(f"/action-center/actions/{broken.action_id}").context["action"]["timeline"][-1]
    assert (newest["text"], newest["detail"], newest["note"]) == ("Reviewed:", said, "I rang the data centre")


def test_one_word_is_enough_and_everybody_hears_of_it(two_needed: None) -> None:
    action = ready()
    action.break_the_glass(by=by("mira"), comment="it is spreading", revision=1, plan="")
    assert (action.decision, action.execution) == (Decision.APPROVED, Execution.QUEUED)
    assert (action.break_glass, action.decided_by_name) == (True, "Mira Chen")
    assert action.votes.get().mode == "break_glass"
    kinds = Event.objects.filter(stream=f"action:{action.pk}").order_by("seq").values_list("kind", flat=True)
    assert list(kinds) == ["action.proposed", "action.approved", "action.break_glass"]
    (notice,) = Notice.objects.filter(user=factories.person("noa"), kind="action.break_glass")
    assert (notice.severity, notice.url) == (Severity.URGENT, f"/action-center/actions/{action.pk}")
    review = action.review
    assert (review.made_by_name, review.reason, review.reviewed_at) == ("Mira Chen", "it is spreading", None)
    hours = Safeguards.current().break_glass_review_hours
    assert abs(review.due_at - timezone.now() - timedelta(hours=hours)) < timedelta(minutes=5)


def test_it_overrides_four_eyes_and_a_second_person() -> None:
    rule = ApprovalRule.objects.create(second_person=True, four_eyes=True)
    action = ready(by=by("mira"))
    with pytest.raises(Refused, match="proposed"):
        action.approve(by=by("mira"))
    action.break_the_glass(by=by("mira"), comment="alone at night")
    assert action.decision == Decision.APPROVED
    assert rule.second_person


def test_somebody_who_voted_in_vain_may_still_break_it(two_needed: None) -> None:
    action = ready().approve(by=by("mira"))
    action.break_the_glass(by=by("mira"), comment="nobody came")
    assert (action.decision, action.votes.count()) == (Decision.APPROVED, 1)
    assert (action.review.made_by_name, action.review.reason) == ("Mira Chen", "nobody came")
    decided, broken = Event.objects.filter(stream=f"action:{action.pk}").order_by("seq")[2:]
    assert [(event.kind, event.actor_name) for event in (decided, broken)] == [
        ("action.approved", "Mira Chen"), ("action.break_glass", "Mira Chen"),
    ]  # fmt: skip
    assert (decided.detail["mode"], decided.detail["comment"]) == ("break_glass", "nobody came")
    assert (broken.after["waived"]["quorum"], broken.detail["comment"]) == (2, "nobody came")


def test_it_can_be_switched_off(two_needed: None) -> None:
    Safeguards.objects.create(pk=1, break_glass=False)
    with pytest.raises(Refused) as off:
        ready().break_the_glass(by=by("mira"), comment="please")
    assert off.value.code == "break_glass_off"


@pytest.mark.parametrize("who", ["ivo", "kim", "aiko"])
def test_the_right_itself_is_still_needed(two_needed: None, who: str) -> None:
    with pytest.raises(Refused, match="needs the role"):
        ready().break_the_glass(by=by(who), comment="please")


def test_everything_else_holds_too(two_needed: None) -> None:
    action, hidden = ready(), ready(on="b", group_id=factories.closed_group().pk)
    mira = factories.person("mira")
    with pytest.raises(Invalid, match="comment"):
        action.break_the_glass(by=by("mira"), comment=" ")
    with pytest.raises(Refused, match="password"):
        action.break_the_glass(by=mira.actor(), comment="x")
    with pytest.raises(Refused, match="signed-in"):
        action.break_the_glass(by=mira.actor(Via.TOKEN, proved_at=by("mira").proved_at), comment="x")
    with pytest.raises(NotVisible):
        hidden.break_the_glass(by=by("mira"), comment="x")
    with pytest.raises(Conflict, match="changed"):
        action.break_the_glass(by=by("mira"), comment="x", revision=2)
    action.targets.update(instance=None)
    with pytest.raises(Conflict, match="No connector"):
        action.break_the_glass(by=by("mira"), comment="x")
    Action.objects.update(expires_at=timezone.now())
    with pytest.raises(Conflict, match="expired"):
        action.break_the_glass(by=by("mira"), comment="x")
    assert not Review.objects.exists()
    assert not Notice.objects.exclude(kind__startswith="rule.").exists()


def test_where_one_approval_is_enough_there_is_no_glass() -> None:
    with pytest.raises(Conflict) as needless:
        ready().break_the_glass(by=by("mira"), comment="in a hurry")
    assert needless.value.code == "not_needed"


@pytest.mark.parametrize("justified", [True, False])
def test_another_judges_it_once(broken: Review, justified: bool) -> None:
    with pytest.raises(Refused, match="Another person"):
        broken.judge(by=by("mira"), justified=True, comment="I was right")
    with pytest.raises(Invalid, match="comment"):
        broken.judge(by=by("noa"), justified=True, comment="")
    broken.judge(by=by("noa"), justified=justified, comment="looked into it")
    assert (broken.reviewed_by_name, broken.justified) == ("Noa Levi", justified)
    with pytest.raises(Conflict, match="already"):
        broken.judge(by=by("sam"), justified=True, comment="me too")
    event = Event.objects.get(kind="action.reviewed")
    assert (event.after, event.actor_name) == ({"justified": justified}, "Noa Levi")
    assert Notice.objects.filter(kind="action.reviewed").exists() != justified


@pytest.mark.parametrize("who", ["ivo", "kim", "aiko"])
def test_only_who_could_have_decided_judges(broken: Review, who: str) -> None:
    with pytest.raises(Refused):
        broken.judge(by=by(who), justified=True, comment="fine")


def test_the_pane_offers_it_with_what_it_means(two_needed: None, client: Client) -> None:
    action, single = ready(), proposed(ActionType.KILL_PROCESS, on="b")
    client.force_login(factories.person("mira"))
    Action.objects.filter(pk=single.pk).update(approval_rule={**single.approval_rule, "quorum": 1})
    shown = client.get(f"/action-center/actions/{action.pk}").context["action"]
    assert shown["can"]["break_glass"]
    assert "somebody else judges it within 24 h" in shown["glass"]
    assert "Too few people" not in shown["glass"]
    factories.person("noa").deactivate(by=factories.SETUP)
    assert "Too few people" in client.get(f"/action-center/actions/{action.pk}").context["action"]["glass"]
    assert not client.get(f"/action-center/actions/{single.pk}").context["action"]["can"]["break_glass"]


def test_breaking_it_on_the_page(two_needed: None, client: Client) -> None:
    action = ready()
    client.force_login(factories.person("mira"))
    address, sent = (
        f"/action-center/actions/{action.pk}/break-glass",
        {"comment": "now", "revision": 1, "plan": ""},
    )
    assert client.post(address, sent, headers=PANE).status_code == 403
    factories.prove(client)
    assert client.post(address, {**sent, "comment": ""}, headers=PANE).status_code == 422
    answer = client.post(address, sent, headers=PANE)
    assert (answer.status_code, answer.context["action"]["result_code"]) == (200, "queued")
    assert client.post(address, sent, headers=PANE).status_code == 409
