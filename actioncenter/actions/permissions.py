"""Who may do what. Pages, API and bulk all pass through here; nothing else asks about roles.

Rights are domain §8.2; they are read afresh in the deciding transaction, so that a revoked
right holds from the next decision on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from actioncenter.accounts.models import User
from actioncenter.actions.catalogue import CATALOGUE, for_admins
from actioncenter.actions.enums import ActionType, Area
from actioncenter.audit.actor import Actor
from actioncenter.settings.access import Scope, roles_and_scope, scope_for
from actioncenter.settings.enums import Role


class Verb(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    RUN = "run"
    PROPOSE = "propose"
    EDIT = "edit"
    UNDO = "undo"
    CANCEL = "cancel"
    RETRY = "retry"
    RESOLVE = "resolve"
    ACKNOWLEDGE = "acknowledge"
    EXTEND = "extend"
    DOWNLOAD = "download"


class Refused(Exception):
    """The person may see the action but not do this; `code` is stable, the text is shown."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotVisible(Exception):
    """Out of the person's scope: it doesn't exist for that person (404)."""


class Subject(Protocol):
    """What rights depend on; an Action has it."""

    @property
    def type(self) -> int: ...

    @property
    def area(self) -> int: ...

    @property
    def group_id(self) -> int | None: ...


AREA_ROLES = {
    Area.DEVICE: frozenset({Role.RESPONDER, Role.ADMIN}),
    Area.EMAIL: frozenset({Role.EMAIL_RESPONDER, Role.ADMIN}),
}
RUNNER_ROLES = {
    "analyst": frozenset({Role.ANALYST, Role.RESPONDER, Role.ADMIN}),
    "responder": AREA_ROLES[Area.DEVICE],
    "email_responder": AREA_ROLES[Area.EMAIL],
    "admin": frozenset({Role.ADMIN}),
}
PROPOSERS = frozenset(Role) - {Role.AUDITOR}
ROLE_WORDS = {
    "analyst": "Analyst",
    "responder": "Responder",
    "email_responder": "Email responder",
    "admin": "Admin",
}


@dataclass(frozen=True, slots=True)
class Rights:
    """One person's roles and scope, loaded once per request or per decision."""

    roles: frozenset[Role]
    scope: Scope

    def sees(self, subject: Subject) -> bool:
        in_group = (
            self.scope.groups is None or subject.group_id is None or subject.group_id in self.scope.groups
        )
        return in_group and subject.area in self.scope.areas

    def refusal(self, verb: Verb, subject: Subject) -> Refused | None:
        """Why not, or None."""
        if verb == Verb.PROPOSE:
            allowed, words = PROPOSERS, "Analyst, Responder, Email responder or Admin"
        else:
            needed = CATALOGUE[ActionType(subject.type)].runner_role
            allowed, words = RUNNER_ROLES[needed], ROLE_WORDS[needed]
        if self.roles & allowed:
            return None
        return Refused("role", f"This needs the role {words}.")

    def require_values(self, kind: ActionType, parameters: Mapping[str, Any]) -> None:
        """Raises Refused where one of them is an admin's to choose, and this person is none."""
        if for_admins(kind, parameters) and Role.ADMIN not in self.roles:
            raise Refused("role", "Only an admin may have files of installed packages taken.")

    def require(self, verb: Verb, subject: Subject) -> None:
        """Raises NotVisible or Refused."""
        if not self.sees(subject):
            raise NotVisible
        refusal = self.refusal(verb, subject)
        if refusal:
            raise refusal


def rights_of(user: User) -> Rights:
    return Rights(roles=user.roles, scope=scope_for(user))


def fresh_rights(by: Actor) -> Rights:
    """The rights of a person as the database has them now; raises Refused for anything else."""
    if by.user_id is not None:
        rights = Rights(*roles_and_scope(by.user_id))
        if rights.roles or User.objects.filter(pk=by.user_id, is_active=True).exists():
            return rights
    raise Refused("person", "Only a signed-in, active person may do this.")
