"""Who may decide what, worked out from the rules in force by the very code that enforces them."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actioncenter.actions.catalogue import CATALOGUE, Entry, risk_of
from actioncenter.actions.enums import ActionType, Area, Risk, TargetKind
from actioncenter.actions.permissions import Rights, Verb
from actioncenter.settings.access import Scope
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ApprovalRule, DeviceGroup, Safeguards
from actioncenter.settings.models.approval import RELEASES, approval_rule

EVERYWHERE: Final = Scope(groups=None, areas=frozenset(Area))
FIGURES: Final = ("break_glass", "stale_high_minutes", "stale_medium_minutes", "stale_low_minutes")
"""Safeguards that bear on deciding."""


@dataclass(frozen=True, slots=True)
class Line:
    """One type, in one group, at one risk. `roles` may approve and reject it, if they see the group."""

    type: ActionType
    risk: Risk
    group_id: int | None
    group_name: str
    roles: frozenset[Role]
    proposers: frozenset[Role]
    rule: Mapping[str, Any]

    @property
    def entry(self) -> Entry:
        return CATALOGUE[self.type]

    @property
    def area(self) -> int:
        return self.entry.area

    @property
    def people(self) -> int:
        """How many take part at least, a person who proposed it counted where a second one is asked for."""
        return max(int(self.rule["quorum"]), 2 if self.rule["second_person"] else 1)


@dataclass(frozen=True, slots=True)
class Matrix:
    lines: Sequence[Line]
    figures: Mapping[str, Any]

    @property
    def version(self) -> str:
        """The same as long as nothing in it has changed."""
        cells = [
            [
                line.entry.code,
                line.risk,
                line.group_id,
                line.group_name,
                sorted(line.roles),
                sorted(line.proposers),
                dict(line.rule),
            ]
            for line in self.lines
        ]
        text = json.dumps([cells, dict(self.figures)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def matrix(groups: Iterable[DeviceGroup]) -> Matrix:
    """Of these groups, and of what belongs to none. Two queries."""
    rules = list(ApprovalRule.objects.all())
    safeguards = Safeguards.current()
    places = [(group.pk, group.name) for group in groups]
    lines = [
        _line(kind, risk, pk, name, rules)
        for kind in CATALOGUE
        for pk, name in (places if on_devices(kind) else [(None, "")])
        for risk in risks_of(kind)
    ]
    return Matrix(lines, {name: getattr(safeguards, name) for name in FIGURES})


def on_devices(kind: ActionType) -> bool:
    """Whether it has a device group. Mail and whole investigations have none."""
    entry = CATALOGUE[kind]
    return entry.area == Area.DEVICE and entry.kind != TargetKind.INVESTIGATION


def risks_of(kind: ActionType) -> list[Risk]:
    """Every risk it can have: critical targets raise some types, malicious items raise releases."""
    found = {risk_of(kind, critical=critical, devices=1) for critical in (False, True)}
    return sorted(found | ({Risk.HIGH} if kind in RELEASES else set()))


def _line(
    kind: ActionType, risk: Risk, group_id: int | None, name: str, rules: Sequence[ApprovalRule]
) -> Line:
    subject = _Subject(kind, CATALOGUE[kind].area, group_id)
    malicious = kind in RELEASES and risk == Risk.HIGH
    rule = approval_rule(kind, group_id, risk, malicious=malicious, two_step=True, rows=rules)
    return Line(
        type=kind,
        risk=risk,
        group_id=group_id,
        group_name=name,
        roles=_roles(Verb.APPROVE, subject) & _roles(Verb.REJECT, subject),
        proposers=_roles(Verb.PROPOSE, subject),
        rule=rule,
    )


@dataclass(frozen=True, slots=True)
class _Subject:
    type: int
    area: int
    group_id: int | None


def _roles(verb: Verb, subject: _Subject) -> frozenset[Role]:
    return frozenset(
        role for role in Role if Rights(frozenset({role}), EVERYWHERE).refusal(verb, subject) is None
    )
