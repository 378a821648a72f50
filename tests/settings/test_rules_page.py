"""The page of approval rules: everybody reads, admins change."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Risk
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ApprovalRule
from tests import factories

pytestmark = pytest.mark.django_db
LIST = "/settings/rules"
FIELDS = {
    "action_type": "", "group": "", "risk": "", "quorum": "2", "deny_quorum": "1", "expiry_days": "3",
    "answer_within_minutes": "", "comment_on_reject": "on",
}  # fmt: skip


@pytest.fixture
def noa(client: Client) -> Client:
    client.force_login(factories.person("noa"))
    factories.prove(client)
    return client


def send(client: Client, **more: Any) -> Any:
    return client.post(f"{LIST}/add", {**FIELDS, **more})


def test_built_in_defaults_are_told_as_they_are_enforced(noa: Client) -> None:
    text = noa.get(LIST).content.decode()
    for kind in (ActionType.OFFBOARD_DEVICE, ActionType.HARD_DELETE_EMAIL, ActionType.ISOLATE_DEVICE):
        assert CATALOGUE[kind].short in text
    assert "high 15 min, medium 1 h, low 8 h" in text
    assert "No rule was added." in text


def test_a_rule_is_added_changed_and_removed(noa: Client) -> None:
    kind, group = ActionType.KILL_PROCESS, factories.group()
    added = send(noa, action_type=str(kind.value), group=str(group.pk), risk=str(Risk.MEDIUM.value))
    assert (added.status_code, added["Location"]) == (302, LIST)
    rule = ApprovalRule.objects.get()
    assert (rule.action_type, rule.group, rule.risk, rule.quorum) == (kind, group, Risk.MEDIUM, 2)
    assert (rule.comment_on_reject, rule.comment_on_undo, rule.answer_within_minutes) == (True, False, None)
    assert "Kill process, medium risk, in Finance laptops" in noa.get(LIST).content.decode()

    page = f"{LIST}/{rule.pk}"
    seen = noa.get(page).context["form"].initial["revision"]
    assert noa.post(page, {**FIELDS, "four_eyes": "on", "revision": str(seen)}).status_code == 302
    rule.refresh_from_db()
    assert (rule.action_type, rule.four_eyes) == (None, True)
    late = noa.post(page, {**FIELDS, "revision": str(seen)})
    assert late.status_code == 409
    assert "Somebody changed this rule" in late.content.decode()

    assert noa.post(f"{page}/remove").status_code == 302
    assert not ApprovalRule.objects.exists()
    assert noa.get(page).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"quorum": "0"}, {"quorum": "99"}, {"quorum": "9" * 40}, {"quorum": ""}, {"expiry_days": "31"},
        {"expiry_days": "0"}, {"action_type": "999"}, {"group": "999"}, {"risk": "x"}, {"deny_quorum": "-1"},
        {"answer_within_minutes": "0"}, {"answer_within_minutes": "9000"}, {"group": "\x00"},
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_with_its_field(noa: Client, wrong: dict[str, str]) -> None:
    answer = send(noa, **wrong)
    assert answer.status_code == 422
    assert not ApprovalRule.objects.exists()
    form, name = answer.context["form"], next(iter(wrong))
    assert form.errors.get(name) or form[name].label in answer.context["form_error"]


def test_asking_for_less_needs_the_password_again(noa: Client) -> None:
    send(noa)
    rule = ApprovalRule.objects.get()
    unproved = Client()
    unproved.force_login(factories.person("noa"))
    page = f"{LIST}/{rule.pk}"
    seen = unproved.get(page).context["form"].initial["revision"]
    for address, fields, back in (
        (f"{LIST}/add", {**FIELDS, "risk": "1", "quorum": "1"}, LIST),
        (page, {**FIELDS, "quorum": "1", "revision": seen}, page),
        (f"{page}/remove", {}, LIST),
    ):
        asked = unproved.post(address, fields)
        assert (asked.status_code, asked["Location"]) == (
            302,
            f"/confirm-identity?{urlencode({'next': back})}",
        )
    rule.refresh_from_db()
    assert (rule.quorum, ApprovalRule.objects.count()) == (2, 1)
    assert unproved.post(page, {**FIELDS, "quorum": "3", "revision": seen})["Location"] == LIST


def test_a_second_rule_for_the_same_is_refused(noa: Client) -> None:
    send(noa)
    answer = send(noa)
    assert answer.status_code == 422
    assert "There is a rule for exactly this already." in answer.content.decode()


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMIN])
def test_others_read_but_do_not_change(client: Client, noa: Client, role: Role) -> None:
    send(noa)
    rule = ApprovalRule.objects.get()
    reader = factories.person("nobody")
    reader.grant(role, by=factories.SETUP)
    client = Client()
    client.force_login(reader)
    for page in (LIST, f"{LIST}/{rule.pk}"):
        shown = client.get(page)
        assert shown.status_code == 200
        assert f"{LIST}/{rule.pk}/remove" not in shown.content.decode()
        assert shown.context["form"] is None
    assert send(client).status_code == 403
    assert client.post(f"{LIST}/{rule.pk}", FIELDS).status_code == 403
    assert client.post(f"{LIST}/{rule.pk}/remove").status_code == 403
    assert ApprovalRule.objects.get().quorum == 2


def test_rules_of_hidden_groups_do_not_exist(client: Client, noa: Client) -> None:
    send(noa, group=str(factories.closed_group().pk))
    rule = ApprovalRule.objects.get()
    other = Client()
    other.force_login(factories.person("mira"))
    assert "Board members" not in other.get(LIST).content.decode()
    assert other.get(f"{LIST}/{rule.pk}").status_code == 404


def test_changes_are_posted_with_a_token(noa: Client) -> None:
    assert noa.get(f"{LIST}/add").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(factories.person("noa"))
    assert send(strict).status_code == 403
