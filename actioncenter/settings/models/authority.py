"""Who may change what decisions rest on, asked inside the fence."""

from typing import Final

from actioncenter.accounts.models import RoleGrant
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role

PROOF_SECONDS: Final = 600
"""How fresh a proof of identity must be for whatever lets automation do more."""
PROOF_NEEDED: Final = "This needs your password, given within the last 10 minutes."


def may_change(by: Actor) -> bool:
    """Whether a person is an admin now; the product's own parts and commands may."""
    return by.user_id is None or Role.ADMIN in RoleGrant.objects.held_by(by.user_id)


def may_ask(user_id: int | None) -> bool:
    """Whether whoever asked for something is an admin still; nobody answers for an account that is gone."""
    return user_id is not None and Role.ADMIN in RoleGrant.objects.held_by(user_id)


def has_proved(by: Actor) -> bool:
    """Whether a person has just shown who they are; machines have nothing to show."""
    return by.user_id is None or by.proved_within(PROOF_SECONDS)
