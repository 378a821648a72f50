"""A person accepts a restored database: what it holds as under way is asked about before anything is sent."""

from actioncenter.accounts import fence
from actioncenter.actions import dispatch
from actioncenter.actions.models import attempting
from actioncenter.audit.actor import Actor
from actioncenter.settings.models import Installation
from actioncenter.settings.models import restoring as installations


def accept(*, by: Actor, comment: str) -> int:
    """Returns how many attempts are asked about. Raises settings.models.RestoreError."""
    with fence.exclusive():
        installations.accept(by=by, comment=comment)
        doubted = attempting.doubt_all()
    dispatch.wake()
    return doubted


def held() -> Installation | None:
    """The installation while its dispatch is held."""
    return Installation.objects.filter(pk=1, held_at__isnull=False).first()
