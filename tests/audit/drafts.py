"""Events to write in tests."""

from typing import Any

from django.db import connection

from actioncenter.audit import sealing
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.log import Draft
from actioncenter.audit.models import Event
from tests.actions.stopping import until

MIRA = Actor("user:12", "Mira Chen", Via.SESSION, "req-1", 12)


def draft(subject: str = "action:1042", **fields: Any) -> Draft:
    return Draft(**{"kind": Kind.ACTION_APPROVED, "by": MIRA, "subject": subject, **fields})


def seal() -> int:
    """When nothing is open any more, not even what the server itself does now and then."""
    if connection.vendor == "postgresql":
        until(
            lambda: (
                not Event.objects.filter(
                    xid__gte=sealing.Horizon.now().xmin, xid__lt=sealing.Horizon.now().xmax
                ).exists()
            )
        )
    return sealing.seal()
