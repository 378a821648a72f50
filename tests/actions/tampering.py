"""What somebody with a hand on the database could change after a decision, one thing at a time."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import F

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, TargetKind
from actioncenter.actions.execution import binding
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.settings.models import ConnectorInstance
from tests import factories

Tamper = Callable[[Action], Any]

THE_RUNNERS = frozenset(
    {
        "id", "action", "state", "attempt", "not_before", "after", "error_class", "error", "tries", "blocks",
        "read_back_at", "changed_at", "restore", "checked_at", "drifted_at", "drift",
        "in_force", "message_key",
    }
)  # fmt: skip
"""Columns of a target that execution itself writes, or by which pages find it; what an undo restores has a test of its own."""
COLUMNS = sorted(field.name for field in ActionTarget._meta.concrete_fields if field.name not in THE_RUNNERS)
CODES = ("group_id", "level", "folder_class", "code")


def another(column: str) -> Any:
    """A value that the column takes and that no target of these tests has."""
    values: Mapping[str, Callable[[], Any]] = {
        "kind": lambda: TargetKind.PROCESS,
        "facts": lambda: {"path": r"C:\Windows\System32\lsass.exe"},
        "device": lambda: factories.device("somebody-elses"),
        "mailbox": lambda: factories.mailbox("ceo@halden.example"),
        "instance": lambda: ConnectorInstance.objects.create(
            kind="simulator", name="another", simulated=True
        ),
    }
    return values.get(column, lambda: "another")()


def target(column: str) -> Tamper:
    return lambda action: ActionTarget.objects.filter(action=action).update(**{column: another(column)})


def row(**changes: Any) -> Tamper:
    return lambda action: Action.objects.filter(pk=action.pk).update(**changes)


def policy(code: str) -> Tamper:
    return lambda action: row(policy={**action.policy, code: 99})(action)


def parameter(name: str) -> Tamper:
    def tamper(action: Action) -> None:
        allowed = CATALOGUE[ActionType(action.type)].parameters[name]
        value = allowed.choices[-1] if allowed.choices else 7
        assert value != action.parameters[name]
        row(parameters={**action.parameters, name: value})(action)

    return tamper


def add_target(action: Action) -> None:
    one = action.targets.get()
    one.pk, one.entity, one.lane = None, "e" * 64, "file:elsewhere"
    one.save(force_insert=True)


def drop_targets(action: Action) -> None:
    action.targets.all().delete()


def forge(action: Action) -> None:
    """Another target, and every hash of it computed as the product would."""
    ActionTarget.objects.filter(action=action).update(remote="dc-01")
    print_now = binding.fingerprint_of(action, list(action.targets.all()))
    assert print_now
    row(fingerprint=print_now)(action)
    Action.objects.filter(pk=action.pk, decision=Decision.APPROVED).update(
        approved_fingerprint=F("fingerprint")
    )


OF_ANY_ACTION: Mapping[str, Tamper] = {
    **{f"target {column}": target(column) for column in COLUMNS},
    **{f"policy {code}": policy(code) for code in CODES},
    "another target": add_target,
    "no target": drop_targets,
    "type": row(type=ActionType.KILL_PROCESS),
    "revision": row(revision=2),
    "unknown parameter": row(parameters={"force": True}),
    "intent": row(intent_key="0" * 64),
    "fingerprint": row(fingerprint="0" * 64),
    "approval rule": row(approval_rule={"quorum": 1}),
    "proposers": row(proposers=["user:4711"]),
    "forged": forge,
}
