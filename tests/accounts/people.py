"""People in tests."""

from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role

SETUP = Actor.command("setup")
PASSWORD = "correct horse battery staple"


def person(username: str = "mira", *roles: Role) -> User:
    return User.objects.enrol(username, by=SETUP, password=PASSWORD, roles=roles, display_name="Mira Chen")
