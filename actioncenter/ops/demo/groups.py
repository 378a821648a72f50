"""Device groups and approval rules of the demo, one for each thing that a level can mean."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.contrib.auth.models import Group

from actioncenter.actions.enums import ActionType
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.ops.demo_people import BY, EXECUTIVE_DESK
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ApprovalRule, DeviceGroup, GroupRule
from investigations import membership

_L = AutomationLevel


class Wanted(NamedTuple):
    """`rules` are (property, operator, value)."""

    name: str
    level: AutomationLevel
    rules: Sequence[tuple[str, str, str]]
    description: str
    critical: bool = False
    seen_by: str = ""


GROUPS: Final = (
    Wanted(
        "Finance servers",
        _L.SEMI_CORE,
        [("name", "starts_with", "fin-db-"), ("name", "starts_with", "fin-app-")],
        "Ledger and payment databases. Critical: nothing runs here without a person.",
        critical=True,
    ),
    Wanted(
        "Executive devices",
        _L.SEMI_ALL,
        [("tag", "equals", "executive")],
        "Only the executive desk sees these, admins and auditors aside.",
        seen_by=EXECUTIVE_DESK,
    ),
    Wanted("Finance laptops", _L.SEMI_ALL, [("name", "starts_with", "FIN-LT-")], "A person decides."),
    Wanted(
        "Engineering workstations",
        _L.FULL,
        [("name", "starts_with", "ENG-WS-")],
        "Malicious things go by themselves.",
    ),
    Wanted(
        "Kiosks",
        _L.SEMI_NONTEMP,
        [("name", "starts_with", "KIOSK-")],
        "Only temporary folders are cleaned by themselves.",
    ),
    Wanted(
        "Build servers",
        _L.SEMI_CORE,
        [("name", "starts_with", "BUILD-")],
        "System folders wait for a person.",
    ),
    Wanted(
        "Web servers",
        _L.SEMI_NONTEMP,
        [("os", "contains", "Debian"), ("tag", "equals", "web")],
        "Linux. /tmp and its like are cleaned by themselves.",
    ),
    Wanted("Hamburg office", _L.FULL, [("name", "starts_with", "HH-LT-")], "Laptops of the Hamburg office."),
    Wanted(
        "Lab", _L.NONE, [("name", "starts_with", "LAB-")], "Samples are opened here; nothing is investigated."
    ),
)
RULES: Final[Sequence[Mapping[str, Any]]] = (
    {"group": "Finance servers", "expiry_days": 1},
    {"group": "Kiosks", "expiry_days": 3},
    {"action_type": ActionType.SOFT_DELETE_EMAIL, "expiry_days": 2},
)


def ensure() -> datetime:
    """Create what is missing, best rank first and behind the groups that exist; returns when the first was made."""
    with membership.change_groups():
        known = set(DeviceGroup.objects.values_list("name", flat=True))
        last = DeviceGroup.objects.filter(is_default=False).count()
        for rank, wanted in enumerate((each for each in GROUPS if each.name not in known), start=last + 1):
            _create(wanted, rank)
        for rule in RULES:
            _create_rule(**rule)
    return DeviceGroup.objects.get(name=GROUPS[0].name).created_at


def _create(wanted: Wanted, rank: int) -> None:
    group = DeviceGroup.objects.create(
        name=wanted.name,
        description=wanted.description,
        rank=rank,
        level=wanted.level,
        level_confirmed=True,
        critical=wanted.critical,
    )
    GroupRule.objects.bulk_create(
        GroupRule(group=group, property=name, operator=operator, value=value)
        for name, operator, value in wanted.rules
    )
    if wanted.seen_by:
        group.access.add(Group.objects.get_or_create(name=wanted.seen_by)[0])
    after = {"name": group.name, "rank": rank, "level": wanted.level.name, "critical": wanted.critical}
    group.record(Kind.GROUP_CREATED, by=BY, before=None, after=after)


def _create_rule(*, expiry_days: int, group: str = "", action_type: ActionType | None = None) -> None:
    where = DeviceGroup.objects.get(name=group) if group else None
    rule, created = ApprovalRule.objects.get_or_create(
        group=where, action_type=action_type, risk=None, defaults={"expiry_days": expiry_days}
    )
    if created:
        log.record(Kind.RULE_ADDED, by=BY, subject=f"rule:{rule.pk}", after=rule.frozen())
