"""Events to write in tests."""

from typing import Any

from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.log import Draft

MIRA = Actor("user:12", "Mira Chen", Via.SESSION, "req-1", 12)


def draft(subject: str = "action:1042", **fields: Any) -> Draft:
    return Draft(**{"kind": Kind.ACTION_APPROVED, "by": MIRA, "subject": subject, **fields})
