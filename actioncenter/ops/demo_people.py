"""The people of the demo."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from django.contrib.auth.models import Group

from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role

BY: Final = Actor.command("demo")
EXECUTIVE_DESK: Final = "Executive desk"
"""The only user group, beside admins and auditors, that sees the executives' devices."""


class Person(NamedTuple):
    name: str
    roles: Sequence[Role]
    user_groups: Sequence[str] = ()


PEOPLE: Final[Mapping[str, Person]] = {
    "sam": Person("Sam Okoye", [Role.RESPONDER, Role.EMAIL_RESPONDER], [EXECUTIVE_DESK]),
    "noa": Person("Noa Levi", [Role.ADMIN]),
    "mira": Person("Mira Chen", [Role.RESPONDER, Role.ANALYST]),
    "aiko": Person("Aiko Tanaka", [Role.EMAIL_RESPONDER]),
    "jonas": Person("Jonas Weber", [Role.ADMIN]),
    "ivo": Person("Ivo Petrov", [Role.AUDITOR]),
    "kim": Person("Kim Larsen", [Role.ANALYST]),
}
"""Those to sign in as first come first: Sam is the night shift and sees device and mail work."""


def ensure(password: str | None) -> list[str]:
    """Enrol who is missing; returns their user names. Without a password nobody can sign in as them."""
    known = set(User.objects.filter(username__in=PEOPLE).values_list("username", flat=True))
    missing = [username for username in PEOPLE if username not in known]
    for username in missing:
        name, roles, user_groups = PEOPLE[username]
        user = User.objects.enrol(username, by=BY, password=password, roles=roles, display_name=name)
        user.groups.set([Group.objects.get_or_create(name=group)[0] for group in user_groups])
    return missing
