"""Who may decide: what the page says is what the views do."""

import csv
import io
import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.accounts.models import User
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Risk
from actioncenter.actions.models import Action, Vote
from actioncenter.actions.queries.authority import Line, matrix, on_devices, risks_of
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel, Role
from actioncenter.settings.models import ApprovalRule, DeviceGroup, Safeguards
from actioncenter.settings.models.approval import RELEASES
from investigations.enums import Verdict
from tests import factories
from tests.actions.varied import proposed

pytestmark = pytest.mark.django_db
PAGE = "/settings/authority"
SAMPLE = 60
"""Cells tried where minutes aren't to be had."""


@pytest.fixture
def people() -> dict[Role, Client]:
    """One person of each role, signed in with the password just now."""
    clients = {}
    for role in Role:
        user = User.objects.enrol(
            f"only-{role.name.lower()}", by=factories.SETUP, password=factories.PASSWORD, roles=[role]
        )
        clients[role] = Client()
        clients[role].post("/sign-in", {"username": user.username, "password": factories.PASSWORD})
    return clients


@pytest.fixture
def rules() -> None:
    """Rules of several kinds, so that the matrix isn't the same everywhere."""
    laptops = factories.group("Finance laptops", AutomationLevel.SEMI_ALL)
    factories.group("Servers", AutomationLevel.FULL)
    ApprovalRule.objects.create(action_type=ActionType.KILL_PROCESS, quorum=2)
    ApprovalRule.objects.create(group=laptops, four_eyes=True, comment_on_approve=True)
    ApprovalRule.objects.create(risk=Risk.LOW, expiry_days=1)


def cells() -> list[tuple[Line, Role]]:
    return [(line, role) for line in matrix(DeviceGroup.objects.all()).lines for role in Role]


def waiting(line: Line, number: int) -> Action:
    verdict = Verdict.MALICIOUS if line.risk == Risk.HIGH or line.type not in RELEASES else Verdict.SUSPICIOUS
    # Isolating and restricting are of high risk on critical targets only.
    critical = line.risk == Risk.HIGH and CATALOGUE[line.type].risk != Risk.HIGH
    action = proposed(
        line.type, name=f"t{number}", on=f"h{number}", group_id=line.group_id, group_name=line.group_name,
        verdict=verdict, critical=critical,
    )  # fmt: skip
    assert (action.risk, action.decision) == (line.risk, Decision.PENDING)
    return action


def try_cell(client: Client, line: Line, role: Role, number: int) -> list[str]:
    """What differs from the matrix: refused although it may, or let through although it may not."""
    action = waiting(line, number)
    address = f"/action-center/actions/{action.pk}"
    approving = client.post(f"{address}/approve", {"comment": "tried", "revision": 1}).status_code
    rejecting = client.post(f"{address}/reject", {"comment": "tried", "revision": 1}).status_code
    action.refresh_from_db()
    decided = action.decision != Decision.PENDING or Vote.objects.filter(action=action).exists()
    where = f"{role.name} {line.entry.code} {line.group_name} {line.risk.name}: {approving}, {rejecting}"
    if role in line.roles:
        return [] if decided and approving in (302, 409) and rejecting in (302, 409) else [where]
    return [] if not decided and approving == rejecting == 403 else [where]


def differences(clients: dict[Role, Client], chosen: list[tuple[Line, Role]]) -> list[str]:
    return [
        found
        for number, (line, role) in enumerate(chosen)
        for found in try_cell(clients[role], line, role, number)
    ]


@pytest.mark.oversight("HO-004")
def test_matrix_equals_enforcement(people: dict[Role, Client], rules: None) -> None:
    """A sample; the one below tries every cell."""
    chosen = random.Random().sample(cells(), SAMPLE)

    assert differences(people, chosen) == []


@pytest.mark.long
@pytest.mark.oversight("HO-004")
def test_matrix_equals_enforcement_in_every_cell(people: dict[Role, Client], rules: None) -> None:
    assert differences(people, cells()) == []


def test_the_comparison_sees_a_wrong_matrix(people: dict[Role, Client], rules: None) -> None:
    """Planted: a line that says the opposite of what is enforced."""
    line = matrix(DeviceGroup.objects.all()).lines[0]
    wrong = Line(
        line.type, line.risk, line.group_id, line.group_name, frozenset(Role) - line.roles, line.proposers, line.rule
    )  # fmt: skip

    assert len(differences(people, [(wrong, role) for role in Role])) == len(Role)


@pytest.mark.parametrize("kind", ActionType)
def test_every_type_stands_in_the_matrix(kind: ActionType) -> None:
    groups = [factories.group(name) for name in ("One", "Two")]
    lines = [line for line in matrix(groups).lines if line.type == kind]

    assert {line.risk for line in lines} == set(risks_of(kind))
    assert {line.group_id for line in lines} == (
        {group.pk for group in groups} if on_devices(kind) else {None}
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda: ApprovalRule.objects.create(risk=Risk.HIGH, quorum=3),
        lambda: factories.group("New one"),
        lambda: Safeguards(pk=1, break_glass=False).save(),
        lambda: DeviceGroup.objects.update(name="Renamed"),
    ],
)
def test_the_version_changes_with_any_rule_and_with_nothing_else(change: Any) -> None:
    groups = DeviceGroup.objects.all()
    before = matrix(groups).version
    factories.person("noa")
    assert matrix(groups).version == before

    change()

    assert matrix(DeviceGroup.objects.all()).version != before


def test_the_page_shows_one_group_and_what_belongs_to_none(client: Client, rules: None) -> None:
    client.force_login(factories.person("kim"))
    group = DeviceGroup.objects.get(name="Servers")

    shown = client.get(PAGE, {"group": group.pk}).context
    assert [row["name"] for row in shown["groups"] if row["on"]] == ["Servers"]
    assert shown["level_label"] == "Full"
    kill = next(line for line in shown["device_lines"] if line["label"] == "Kill process")
    assert kill["people"] == 2
    assert kill["may"] == ["Responder", "Admin"]
    assert {line["label"] for line in shown["other_lines"]} >= {"Hard delete email", "Expand pivot"}


@pytest.mark.parametrize("wrong", ["", "0", "-1", "x", "9" * 30, "²"])
def test_an_odd_group_shows_the_first(client: Client, wrong: str) -> None:
    client.force_login(factories.person("ivo"))

    assert client.get(PAGE, {"group": wrong}).status_code == 200


def test_groups_out_of_sight_stay_out_of_page_and_file(client: Client) -> None:
    closed = factories.closed_group("Board members")
    client.force_login(factories.person("mira"))
    assert "Board members" not in client.get(PAGE).content.decode()
    assert "Board members" not in client.get(f"{PAGE}.csv").content.decode()

    factories.person("mira").groups.add(Group.objects.get(name="Board members response"))
    assert str(closed) in client.get(f"{PAGE}.csv").content.decode()


def test_nobody_without_a_role_reads_it(client: Client) -> None:
    client.force_login(factories.person("nobody"))

    assert [client.get(PAGE).status_code, client.get(f"{PAGE}.csv").status_code] == [403, 403]


def read(text: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(text, newline=""), strict=True)


@pytest.mark.oversight("HO-004")
def test_the_file_holds_every_cell(client: Client, rules: None) -> None:
    client.force_login(factories.person("ivo"))
    answer = client.get(f"{PAGE}.csv")
    rows = list(read(answer.content.decode()))
    whole = matrix(DeviceGroup.objects.all())

    assert answer["Content-Disposition"] == f'attachment; filename="who-may-decide-{whole.version}.csv"'
    assert {row["version"] for row in rows} == {whole.version}
    assert len(rows) == len(cells())
    assert [row["may decide"] for row in rows] == [
        "yes" if role in line.roles else "no" for line, role in cells()
    ]
    assert Event.objects.get(subject="authority").detail["version"] == whole.version


def test_the_file_is_plain_and_runs_nothing(client: Client) -> None:
    factories.group('=cmd|"calc"!A1, "x"\r\ny')
    client.force_login(factories.person("noa"))
    text = client.get(f"{PAGE}.csv").content.decode()

    rows = list(read(text))
    assert text.replace("\r\n", "").count("\n") == 0
    assert {row["device group"] for row in rows} >= {'\'=cmd|"calc"!A1, "x"\r\ny'}
    assert {len(row) for row in rows} == {17}


def test_as_many_queries_for_many_groups(client: Client) -> None:
    client.force_login(factories.person("noa"))
    client.get(PAGE)
    counts = []
    for number in range(2):
        with CaptureQueriesContext(connection) as queries:
            client.get(PAGE)
        counts.append(len(queries))
        factories.group(f"More {number}")

    assert counts[0] == counts[1]
