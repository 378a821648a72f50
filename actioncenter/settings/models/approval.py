"""Who must agree to what, and until when: approval rules, frozen into an action when it is proposed."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Final, Self

from django.db import models
from django.db.models.functions import Coalesce

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import RoleGrant
from actioncenter.accounts.notices import notify_admins
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Risk
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved
from actioncenter.settings.models.groups import DeviceGroup

SECOND_PERSON: Final = frozenset({ActionType.OFFBOARD_DEVICE, ActionType.HARD_DELETE_EMAIL})
RELEASES: Final = frozenset(
    {
        ActionType.RELEASE_FILE,
        ActionType.RELEASE_EMAIL,
        ActionType.RELEASE_ATTACHMENT,
        ActionType.RESTORE_EMAIL,
        ActionType.UNBLOCK_URL,
        ActionType.UNBLOCK_SENDER,
    }
)
"""Of a malicious item these need a second person too, unless they are an undo."""
ANSWER_MINUTES: Final[Mapping[Risk, int]] = {Risk.HIGH: 15, Risk.MEDIUM: 60, Risk.LOW: 480}
MOST_PEOPLE: Final = 20
DAY: Final = 24 * 60
"""In minutes."""
RANGES: Final[Mapping[str, tuple[str, int, int]]] = {
    "quorum": ("approvals", 1, MOST_PEOPLE),
    "deny_quorum": ("rejections", 1, MOST_PEOPLE),
    "expiry_days": ("days", 1, 30),
    "answer_within_minutes": ("minutes", 1, 30 * DAY),
}
SCOPE: Final = ("action_type", "group_id", "risk")
SWITCHES: Final = (
    "four_eyes",
    "second_person",
    "reauthenticate",
    "comment_on_approve",
    "comment_on_reject",
    "comment_on_undo",
)
LOOSER: Final[Mapping[str, int]] = {
    "quorum": -1,
    "deny_quorum": 1,
    "expiry_days": 1,
    "answer_within_minutes": 1,
    **dict.fromkeys(SWITCHES, -1),
}
"""What a rule asks for, and whether a higher (1) or a lower (-1) value asks for less."""


class RuleError(Exception):
    """A rule that isn't allowed; `name` is the field, or `role`, `changed`, `gone`, `reauthenticate`."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class ApprovalRule(models.Model):
    """Who must agree to what. The most specific row wins: type, then group, then risk, then all."""

    action_type = models.PositiveSmallIntegerField(null=True, blank=True)
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.CASCADE)
    risk = models.PositiveSmallIntegerField(null=True, blank=True, choices=[(x.value, x.name) for x in Risk])
    quorum = models.PositiveSmallIntegerField(default=1)
    deny_quorum = models.PositiveSmallIntegerField(default=1)
    four_eyes = models.BooleanField(default=False)
    second_person = models.BooleanField(default=False, db_default=False)
    """Two people at least, the proposer counted; also when the proposer has the right to act alone."""
    reauthenticate = models.BooleanField(default=False, db_default=False)
    comment_on_approve = models.BooleanField(default=False)
    comment_on_reject = models.BooleanField(default=True)
    comment_on_undo = models.BooleanField(default=True, db_default=True)
    expiry_days = models.PositiveSmallIntegerField(default=7)
    answer_within_minutes = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expiry_days__gte=1, expiry_days__lte=30), name="rule_expiry_1_to_30"
            ),
            models.CheckConstraint(
                condition=models.Q(quorum__gte=1, deny_quorum__gte=1), name="rule_quorum_positive"
            ),
            models.UniqueConstraint(
                Coalesce("action_type", 0),
                Coalesce("group_id", 0),
                Coalesce("risk", 0),
                name="rule_scope_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quorum} of n within {self.expiry_days} days"

    @classmethod
    def add(cls, *, by: Actor, **fields: Any) -> Self:
        """A new row, in force at once for what is proposed from now on. Raises RuleError."""
        with fence.exclusive():
            _require_admin(by)
            rule = cls(**fields)
            rule._check()
            rows = list(cls.objects.all())
            loosened = _require_proof(rows, [*rows, rule], [rule], by=by)
            rule.save(force_insert=True)
            rule._record(Kind.RULE_ADDED, by=by, after=rule.described(), loosened=loosened)
        return rule

    def change(self, *, by: Actor, revision: int | None = None, **fields: Any) -> None:
        """`revision` is what the page showed. What is pending keeps its frozen rule. Raises RuleError."""
        with fence.exclusive():
            rule = self._now(by, revision)
            before, rows = rule.described(), list(ApprovalRule.objects.all())
            for name, value in fields.items():
                setattr(rule, name, value)
            rule._check()
            if rule.described() == before:
                raise RuleError("unchanged", "Nothing was changed.")
            [then] = [row for row in rows if row.pk == rule.pk]
            others = [row for row in rows if row.pk != rule.pk]
            loosened = _require_proof(rows, [*others, rule], [then, rule], by=by)
            rule.save()
            rule._record(Kind.RULE_CHANGED, by=by, before=before, after=rule.described(), loosened=loosened)
        self.refresh_from_db()

    def remove(self, *, by: Actor, revision: int | None = None) -> None:
        """Raises RuleError."""
        with fence.exclusive():
            rule = self._now(by, revision)
            rows = list(ApprovalRule.objects.all())
            loosened = _require_proof(rows, [row for row in rows if row.pk != rule.pk], [rule], by=by)
            rule._record(Kind.RULE_REMOVED, by=by, before=rule.described(), loosened=loosened)
            rule.delete()

    @property
    def revision(self) -> int:
        """How often it was changed: what a page has seen."""
        newest = Event.objects.filter(stream=f"rule:{self.pk}").aggregate(newest=models.Max("seq"))
        return newest["newest"] or 0

    def speaks_of(self, action_type: int, group_id: int | None, risk: int) -> bool:
        return (
            self.action_type in (None, action_type)
            and self.group_id in (None, group_id)
            and self.risk in (None, risk)
        )

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        return (self.action_type is not None, self.group_id is not None, self.risk is not None)

    def frozen(self) -> dict[str, Any]:
        """What the row asks for, without what it applies to."""
        names = (*RANGES, *SWITCHES)
        return {name: getattr(self, name) for name in names}

    def described(self) -> dict[str, Any]:
        """The whole row, for the audit log."""
        kind = CATALOGUE[ActionType(self.action_type)].code if self.action_type is not None else None
        risk = Risk(self.risk).name.lower() if self.risk is not None else None
        return {"action_type": kind, "group_id": self.group_id, "risk": risk, **self.frozen()}

    def _now(self, by: Actor, revision: int | None) -> "ApprovalRule":
        _require_admin(by)
        rule = ApprovalRule.objects.select_for_update().filter(pk=self.pk).first()
        if rule is None:
            raise RuleError("gone", "This rule was removed meanwhile.")
        if revision is not None and revision != rule.revision:
            raise RuleError("changed", "Somebody changed this rule since you opened the page.")
        return rule

    def _check(self) -> None:
        if self.action_type is not None and self.action_type not in list(ActionType):
            raise RuleError("action_type", "There is no such type of action.")
        if self.risk is not None and self.risk not in list(Risk):
            raise RuleError("risk", "There is no such risk.")
        if self.group_id is not None and not DeviceGroup.objects.filter(pk=self.group_id).exists():
            raise RuleError("group", "There is no such device group.")
        self._check_figures()
        same = ApprovalRule.objects.exclude(pk=self.pk).filter(
            **{name: getattr(self, name) for name in SCOPE if getattr(self, name) is not None},
            **{f"{name}__isnull": True for name in SCOPE if getattr(self, name) is None},
        )
        if same.exists():
            raise RuleError("action_type", "There is a rule for exactly this already. Change that one.")

    def _check_figures(self) -> None:
        for name, (what, least, most) in RANGES.items():
            value = getattr(self, name)
            if value is None and name == "answer_within_minutes":
                continue
            if not isinstance(value, int) or not least <= value <= most:
                raise RuleError(name, f"Between {least} and {most:,} {what}.")
        if (self.answer_within_minutes or 0) > self.expiry_days * DAY:
            raise RuleError("answer_within_minutes", "It can't be answered after it has expired.")

    def _record(
        self,
        kind: Kind,
        *,
        by: Actor,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        loosened: bool,
    ) -> None:
        log.record(kind, by=by, subject=f"rule:{self.pk}", before=before, after=after, group_id=self.group_id)
        done = {Kind.RULE_ADDED: "added", Kind.RULE_CHANGED: "changed", Kind.RULE_REMOVED: "removed"}[kind]
        notify_admins(
            kind.value,
            title=f"{by.name} {done} an approval rule{': less is asked for now' if loosened else ''}",
            url="/settings/rules",
            severity=Severity.WARNING,
        )


def _require_admin(by: Actor) -> None:
    """A person must be an admin now, inside the fence; tokens never may, commands may."""
    if by.user_id is None:
        return
    if not by.is_person or Role.ADMIN not in RoleGrant.objects.held_by(by.user_id):
        raise RuleError("role", "Only an admin changes approval rules.")


def _require_proof(
    before: Sequence[ApprovalRule], after: Sequence[ApprovalRule], changed: Sequence[ApprovalRule], *, by: Actor
) -> bool:  # fmt: skip
    """Returns whether less is asked for afterwards. Raises RuleError for a person who hasn't shown who they are."""
    loosened = loosens(before, after, changed)
    if loosened and not has_proved(by):
        raise RuleError("reauthenticate", PROOF_NEEDED)
    return loosened


def loosens(
    before: Sequence[ApprovalRule], after: Sequence[ApprovalRule], changed: Sequence[ApprovalRule]
) -> bool:
    """Whether anything is proposed under a rule that asks for less in any way, worked out from what is enforced.

    `changed` are the rows that differ, as they were and as they are.
    """
    groups = {row.group_id for row in (*before, *after)} | {None}
    for kind, group, risk in product(ActionType, groups, Risk):
        if not any(row.speaks_of(kind, group, risk) for row in changed):
            continue
        for malicious, undo in product({False, kind in RELEASES}, (False, True)):
            then, now = (
                approval_rule(kind, group, risk, malicious=malicious, undo=undo, rows=rows)
                for rows in (before, after)
            )
            if any((now[name] - then[name]) * way > 0 for name, way in LOOSER.items()):
                return True
    return False


def approval_rule(
    action_type: int,
    group_id: int | None,
    risk: int,
    *,
    malicious: bool = False,
    two_step: bool = False,
    undo: bool = False,
    rows: "Sequence[ApprovalRule] | None" = None,
) -> dict[str, Any]:
    """What is frozen into an action when it is proposed: the row that applies, and the built-in defaults.

    A row for that very type stands as it is; otherwise the defaults tighten what the row asks for.
    `two_step`: a person proposed it and another decides. An undo never needs a second person.
    `rows` are all rules, for those who ask often; else they are read.
    """
    row = _matching(ApprovalRule.objects.all() if rows is None else rows, action_type, group_id, risk)
    rule = row.frozen()
    if row.action_type is None:
        for name, asked in built_in(ActionType(action_type), Risk(risk), malicious=malicious).items():
            rule[name] = rule[name] or asked
        rule["four_eyes"] = rule["four_eyes"] or two_step
    if undo:
        rule |= {"quorum": 1, "deny_quorum": 1, "four_eyes": False, "second_person": False}
        rule["reauthenticate"] = row.reauthenticate
    within = rule["answer_within_minutes"] or ANSWER_MINUTES[Risk(risk)]
    # The strictest clock wins: nothing is answered after it has expired.
    rule["answer_within_minutes"] = min(within, rule["expiry_days"] * DAY)
    return rule


def stricter(rule: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The first with whatever the second asks more of; the second may lack names."""
    asked = {name: value for name, value in other.items() if name in LOOSER}
    return {
        **rule,
        **{name: (max if LOOSER[name] < 0 else min)(rule[name], value) for name, value in asked.items()},
    }


def built_in(kind: ActionType, risk: Risk, *, malicious: bool = False) -> dict[str, bool]:
    """What a type asks for while no rule speaks of it (design §4)."""
    second = kind in SECOND_PERSON or (malicious and kind in RELEASES)
    dangerous = CATALOGUE[kind].dangerous or risk == Risk.HIGH
    return {"second_person": second, "reauthenticate": second or dangerous}


def _matching(
    rows: Iterable[ApprovalRule], action_type: int, group_id: int | None, risk: int
) -> ApprovalRule:
    matching = [rule for rule in rows if rule.speaks_of(action_type, group_id, risk)]
    return max(matching, key=lambda rule: rule.weight, default=ApprovalRule())
