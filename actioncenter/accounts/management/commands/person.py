"""`manage.py person`: people and their roles, for whoever has a shell on the server."""

import json
import secrets
import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from actioncenter.accounts import fence
from actioncenter.accounts.models import RoleGrant, User
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role

BY: Final = Actor.command("person")
ROLES: Final = {role.name.lower(): role for role in Role}


def _role(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


class Command(BaseCommand):
    help = "Add people, give and take roles, deactivate. Everything is recorded in the audit log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="a new person; prints a password unless one is given")
        add.add_argument("username")
        add.add_argument("--name", default="", help="as shown, e.g. 'Mira Chen'")
        add.add_argument("--email", default="")
        add.add_argument("--role", action="append", default=[], type=_role, choices=ROLES, dest="roles")
        add.add_argument(
            "--password-stdin", action="store_true", help="read it from the first line of the input"
        )
        password = verbs.add_parser("password", help="a new password; prints one unless it is given")
        password.add_argument("username")
        password.add_argument(
            "--password-stdin", action="store_true", help="read it from the first line of the input"
        )
        for verb in ("grant", "revoke"):
            change = verbs.add_parser(verb, help=f"{verb} a role")
            change.add_argument("username")
            change.add_argument("role", type=_role, choices=ROLES)
            if verb == "grant":
                change.add_argument("--until", type=moment, help="when it ends, e.g. 2027-01-31T18:00:00Z")
        for verb, what in (("deactivate", "end every right and session"), ("reactivate", "let in again")):
            verbs.add_parser(verb, help=what).add_argument("username")
        verbs.add_parser("list", help="everybody, with roles").add_argument("--json", action="store_true")

    def handle(self, *, verb: str, **options: Any) -> None:
        if verb == "list":
            self.list(as_json=options["json"])
        elif verb == "add":
            self.add(options)
        elif verb == "password":
            self.set_password(_find(options["username"]), options)
        else:
            with fence.exclusive():
                self.change(verb, _find(options["username"]), options)

    def add(self, options: dict[str, Any]) -> None:
        username = options["username"]
        password, given = _password(options)
        _check(username, password, is_given=options["password_stdin"])
        if User.objects.filter(username__iexact=username).exists():
            raise CommandError(f"There is somebody called {username} already.")
        User.objects.enrol(
            username,
            by=BY,
            password=password,
            roles=[ROLES[role] for role in options["roles"]],
            display_name=options["name"],
            email=options["email"],
        )
        self.stdout.write(f"Added {username}: {_words(options['roles'])}.")
        if not given:
            self.stdout.write(f"Password (shown only now): {password}")

    def set_password(self, user: User, options: dict[str, Any]) -> None:
        password, given = _password(options)
        _check(user.username, password, is_given=options["password_stdin"])
        user.change_password(password, by=BY)
        self.stdout.write(f"{user.username} has a new password and is signed out everywhere.")
        if not given:
            self.stdout.write(f"Password (shown only now): {password}")

    def change(self, verb: str, user: User, options: dict[str, Any]) -> None:
        role = ROLES.get(options.get("role", ""))
        if verb == "deactivate" or (role == Role.ADMIN and (verb == "revoke" or options["until"])):
            _keep_an_admin(user)
        if role is None:
            user.deactivate(by=BY) if verb == "deactivate" else user.reactivate(by=BY)
        elif verb == "grant":
            user.grant(role, by=BY, ends_at=options["until"])
        else:
            user.revoke(role, by=BY)
        self.stdout.write(_line(user))

    def list(self, *, as_json: bool) -> None:
        people = list(User.objects.order_by("username"))
        if as_json:
            self.stdout.write(json.dumps([_facts(user) for user in people]))
            return
        for user in people:
            self.stdout.write(_line(user))


def moment(text: str) -> datetime:
    found = parse_datetime(text)
    if found is None:
        raise ValueError(text)
    return found if found.tzinfo else timezone.make_aware(found)


def _find(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is nobody called {username!a}.")
    return user


def _password(options: dict[str, Any]) -> tuple[str, bool]:
    """The one on the input, or one that is made up, and whether it was given."""
    given = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else ""
    return given or secrets.token_urlsafe(12), bool(given)


def _check(username: str, password: str, *, is_given: bool) -> None:
    user = User(username=username)
    try:
        user.clean_fields(exclude=["password"])
        if is_given:
            validate_password(password, user)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None


def _keep_an_admin(user: User) -> None:
    """Without an admin nobody could lower a level or let anybody in from the pages."""
    admins = RoleGrant.objects.in_force().filter(role=Role.ADMIN, ends_at=None)
    if admins.filter(user=user).exists() and not admins.exclude(user=user).exists():
        raise CommandError(f"{user.username} is the last admin: make somebody else an admin first.")


def _facts(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "name": user.shown_name,
        "active": user.is_active,
        "roles": sorted(role.name.lower() for role in user.roles),
    }


def _line(user: User) -> str:
    facts = _facts(user)
    state = "" if user.is_active else " (deactivated)"
    return f"{user.username}: {user.shown_name}{state}, {_words(facts['roles'])}"


def _words(roles: list[str]) -> str:
    return ", ".join(role.replace("_", " ") for role in roles) or "no role"
