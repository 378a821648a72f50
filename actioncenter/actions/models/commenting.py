"""What people say about an action to each other. It is part of its story, so it stands in the log and nowhere else."""

import re
from typing import TYPE_CHECKING, Final

from django.db import transaction

from actioncenter.accounts.models import User
from actioncenter.accounts.notices import notify
from actioncenter.actions.models.assigning import COMMENT_LIMIT
from actioncenter.actions.models.conflicts import Invalid
from actioncenter.actions.models.settling import event, locked
from actioncenter.actions.permissions import Verb, fresh_rights, rights_of
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

MENTION: Final = re.compile(r"(?<![\w.@])@([\w.+-]{1,150}(?:@[\w.+-]{1,150})?)")
AT_MOST: Final = 20
"""People that one comment calls."""


def comment(action: "Action", text: str, *, by: Actor) -> list[str]:
    """Write it down and tell whoever is called by user name; returns the names that reached nobody.

    Nobody is told of what they may not see, and whether there is such a person isn't said either.
    Raises Invalid, Refused, NotVisible.
    """
    text = text.strip()
    if not text or len(text) > COMMENT_LIMIT:
        raise Invalid("comment", f"Write something, at most {COMMENT_LIMIT} characters.")
    names = mentioned(text)
    if len(names) > AT_MOST:
        raise Invalid("comment", f"It calls more than {AT_MOST} people.")
    with transaction.atomic():
        row = locked(action)
        fresh_rights(by).require(Verb.PROPOSE, row)
        called = User.objects.filter(username__in=names, is_active=True).order_by("pk")
        told = [person for person in called if rights_of(person).sees(row)]
        detail = {"comment": text, "mentions": [person.ref for person in told]}
        event(row, Kind.ACTION_COMMENTED, by, detail=detail)
        notify(
            [person for person in told if person.ref != by.ref],
            "action.mentioned",
            title=f"{by.name} mentions you on {row.label}: {row.what}",
            params={"action": row.pk, "by": by.name},
            url=f"/action-center/actions/{row.pk}",
        )
    reached = {person.username for person in told}
    return [name for name in names if name not in reached]


def mentioned(text: str) -> list[str]:
    """The user names after an @, each once. A full stop at the end belongs to the sentence."""
    return list(dict.fromkeys(name for found in MENTION.findall(text) if (name := found.rstrip(".-+@"))))
