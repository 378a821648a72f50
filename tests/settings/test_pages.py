"""Pages of device groups: everybody reads, admins change."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.settings.enums import AutomationLevel, Role
from actioncenter.settings.models import DeviceGroup, GroupRule, LevelRaise
from tests import factories
from tests.settings.proving import proved

pytestmark = pytest.mark.django_db
L = AutomationLevel
LIST = "/settings/groups"
HOSTILE = "<script>alert(1)</script>\"'\u202e"


@pytest.fixture
def noa(client: Client) -> Client:
    client.force_login(factories.person("noa"))
    return proved(client)


@pytest.fixture
def second() -> Client:
    other = Client()
    factories.person("mira").grant(Role.ADMIN, by=factories.SETUP)
    other.force_login(factories.person("mira"))
    return proved(other)


def text(response: HttpResponse) -> str:
    return response.content.decode()


def page(group: DeviceGroup) -> str:
    return f"{LIST}/{group.pk}"


def change(client: Client, group: DeviceGroup, wanted: object, **more: object) -> HttpResponse:
    return client.post(f"{page(group)}/level", {"level": str(wanted), **more})


def level(group: DeviceGroup) -> AutomationLevel:
    group.refresh_from_db()
    return group.automation


def test_the_list_shows_groups_by_rank_and_the_default_last(noa: Client) -> None:
    first = factories.group("Finance laptops", L.SEMI_CORE)
    GroupRule.objects.create(group=first, property="name", operator="starts_with", value="fin-")
    GroupRule.objects.create(group=first, property="name", operator="starts_with", value="lt-")
    GroupRule.objects.create(group=first, property="tag", operator="equals", value="finance")
    factories.device(in_group=first)

    rows = noa.get(LIST).context["groups"]

    assert [row["name"] for row in rows] == ["Finance laptops", "Ungrouped devices (default)"]
    assert rows[0]["rule"] == "Device name starts with fin- or starts with lt-, and Tag is finance"
    assert (rows[0]["devices"], rows[0]["level_label"]) == (1, "Semi – core folders")
    assert rows[1]["is_default"]


@pytest.mark.parametrize("wanted", L)
def test_every_level_is_shown(noa: Client, wanted: AutomationLevel) -> None:
    group = factories.group(level=wanted)

    shown = noa.get(page(group)).context

    assert shown["group"]["level_code"] == wanted
    assert [option["code"] for option in shown["levels"]] == sorted(L)


def test_lowering_works_at_once(noa: Client) -> None:
    group = factories.group(level=L.FULL)

    response = change(noa, group, L.SEMI_ALL.value, comment="Too many false alarms")

    assert response.status_code == 302
    assert level(group) == L.SEMI_ALL
    after = noa.get(page(group))
    assert "Level lowered from Full to Semi – all folders" in text(after)
    assert "Too many false alarms" in text(after)


def test_a_raise_waits_for_a_second_admin(noa: Client, second: Client) -> None:
    group = factories.group(level=L.SEMI_ALL)
    change(noa, group, L.FULL.value)
    waiting = group.pending_raise()
    assert waiting is not None

    own, others = (client.get(page(group)).context["group"]["pending"] for client in (noa, second))
    assert (own["can_confirm"], own["can_cancel"]) == (False, True)
    assert (others["can_confirm"], others["can_cancel"]) == (True, True)
    assert own["effective"].startswith("in 3h 5")
    assert own["effective"].endswith(", or when another admin confirms it")

    assert noa.post(f"/settings/raises/{waiting.pk}/confirm").status_code == 422
    assert level(group) == L.SEMI_ALL
    assert second.post(f"/settings/raises/{waiting.pk}/confirm").status_code == 302
    assert level(group) == L.FULL
    assert second.post(f"/settings/raises/{waiting.pk}/confirm").status_code == 409


def test_a_raise_can_be_cancelled(noa: Client) -> None:
    group = factories.group(level=L.SEMI_ALL)
    change(noa, group, L.FULL.value)

    assert noa.post(f"/settings/raises/{LevelRaise.objects.get().pk}/cancel").status_code == 302

    assert group.pending_raise() is None
    assert "Raise to Full cancelled" in text(noa.get(page(group)))


def test_the_slower_of_two_admins_is_told(noa: Client, second: Client) -> None:
    group = factories.group(level=L.FULL)
    seen = noa.get(page(group)).context["group"]["revision"]
    assert change(noa, group, L.SEMI_CORE.value, revision=seen).status_code == 302

    late = change(second, group, L.NONE.value, revision=seen)

    assert late.status_code == 409
    assert "Somebody changed Finance laptops since you opened this page." in text(late)
    assert late.context["group"]["level_code"] == L.SEMI_CORE
    assert level(group) == L.SEMI_CORE


@pytest.mark.parametrize("wanted", ["", "5", "-1", "full", "\x00", "9" * 5000, "٣"])
def test_levels_that_do_not_exist(noa: Client, wanted: str) -> None:
    group = factories.group(level=L.SEMI_CORE)

    assert change(noa, group, wanted).status_code == 422
    assert level(group) == L.SEMI_CORE


@pytest.mark.parametrize(
    "more",
    [
        {"revision": "x"},
        {"revision": "-1"},
        {"revision": "9" * 30},
        {"comment": "x" * 2001},
        {"comment": "\x00"},
    ],
)
def test_bad_fields_are_refused(noa: Client, more: dict[str, str]) -> None:
    group = factories.group(level=L.FULL)

    assert change(noa, group, L.NONE.value, **more).status_code == 422
    assert level(group) == L.FULL


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMIN])
def test_others_read_but_do_not_change(client: Client, noa: Client, role: Role) -> None:
    group = factories.group(level=L.SEMI_CORE)
    change(noa, group, L.FULL.value)
    reader = factories.person("nobody")
    reader.grant(role, by=factories.SETUP)
    client = Client()
    client.force_login(reader)

    shown = client.get(page(group))
    assert shown.status_code == 200
    assert f"{page(group)}/level" not in text(shown)
    assert "/settings/raises/" not in text(shown)
    assert client.get(LIST).status_code == 200
    assert change(client, group, L.NONE.value).status_code == 403
    for verb in ("confirm", "cancel"):
        assert client.post(f"/settings/raises/{LevelRaise.objects.get().pk}/{verb}").status_code == 403
    assert level(group) == L.SEMI_CORE


def test_groups_out_of_scope_do_not_exist(client: Client) -> None:
    secret = factories.group("Board")
    secret.access.add(Group.objects.create(name="Board watchers"))
    client.force_login(factories.person("mira"))

    assert [row["name"] for row in client.get(LIST).context["groups"]] == ["Ungrouped devices (default)"]
    assert client.get(page(secret)).status_code == 404
    assert change(client, secret, L.NONE.value).status_code == 404


@pytest.mark.parametrize("number", ["0", "999999", "9" * 30])
def test_numbers_that_do_not_exist(noa: Client, number: str) -> None:
    assert noa.get(f"{LIST}/{number}").status_code == 404
    assert noa.post(f"{LIST}/{number}/level", {"level": "0"}).status_code == 404
    assert noa.post(f"/settings/raises/{number}/confirm").status_code == 404


def test_changes_are_posted(noa: Client) -> None:
    group = factories.group()

    assert noa.get(f"{page(group)}/level").status_code == 405
    assert noa.post(page(group)).status_code == 405


def test_forms_carry_a_token(noa: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(factories.person("noa"))

    assert change(strict, factories.group(level=L.FULL), L.NONE.value).status_code == 403


def test_text_from_outside_stays_text(noa: Client) -> None:
    group = factories.group(HOSTILE, L.FULL)
    GroupRule.objects.create(group=group, property="name", operator="equals", value=HOSTILE)
    factories.device(HOSTILE, in_group=group)
    change(noa, group, L.NONE.value, comment=HOSTILE)

    for address in (LIST, page(group)):
        shown = text(noa.get(address))
        assert "<script>alert" not in shown
        assert "\u202e" not in shown


def test_as_many_queries_for_many_groups_as_for_one(noa: Client) -> None:
    noa.get(LIST)
    needed = []
    for number in (1, 3, 100):
        for at in range(DeviceGroup.objects.count(), number):
            group = factories.group(f"Group {at}", L.SEMI_ALL)
            GroupRule.objects.create(group=group, property="name", operator="equals", value="x")
            factories.device(in_group=group)
            change(noa, group, L.FULL.value)
        with CaptureQueriesContext(connection) as captured:
            assert len(noa.get(LIST).context["groups"]) == number
        needed.append(len(captured))

    assert len(set(needed)) == 1, needed
