"""`manage.py up`: everything on one machine, from an empty folder to a page that answers."""

import fcntl
import http.client
import secrets
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from actioncenter.accounts.models import User
from actioncenter.audit import roles, triggers
from actioncenter.audit.actor import Actor
from actioncenter.ops import demo_people
from actioncenter.ops.management.lookout import Lookout
from actioncenter.ops.supervisor import Child, supervise
from actioncenter.settings.enums import Role

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Set up and run the Action center on this machine: web server and runner."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="port on this machine (8000)")
        parser.add_argument("--data", help="folder for database and keys (var)")
        parser.add_argument("--no-demo", action="store_true", help="start empty, with one administrator")

    def handle(self, *, port: int, no_demo: bool, **options: Any) -> None:
        refuse_busy_port(port)
        with only_one_here():
            self.say("Preparing the database ...")
            migrate()
            if not settings.DEBUG:
                call_command("collectstatic", verbosity=0, interactive=False)
            sign_in = self.prepare_people(no_demo=no_demo)
            self.run(port, sign_in)
            self.say("Stopped.")

    def prepare_people(self, *, no_demo: bool) -> str:
        """Load what a first start needs; return the lines about signing in."""
        users = User.objects
        triggers.require()
        roles.require()
        is_first = not users.exists()
        password = secrets.token_urlsafe(9)
        if is_first and no_demo:
            users.enrol("admin", by=Actor.command("up"), password=password, roles=[Role.ADMIN])
        elif is_first:
            demo_people.ensure(password)
        if not no_demo:
            self.say("Loading the demo estate ...")
            call_command("demo", stdout=self.stdout)
        return sign_in_lines(password if is_first else None)

    def run(self, port: int, sign_in: str) -> None:
        announced = False

        def announce() -> None:
            nonlocal announced
            if not announced and web.is_running() and answers(port):
                announced = True
                self.say(f"\nAction center: http://{HOST}:{port}/\n{sign_in}\nCtrl-C stops it.\n")

        web = Child("The web server", web_command(port))
        runner = Child("The runner", [sys.executable, str(settings.BASE_DIR / "manage.py"), "runner"])
        look = Lookout(self.say)

        def each_round() -> None:
            announce()
            look()

        supervise([web, runner], each_round, self.say)

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def sign_in_lines(password: str | None) -> str:
    """Say who may sign in, and with what: the password itself on the first start, how to set one later."""
    people = list(User.objects.filter(is_active=True).order_by("pk")[:10])
    lines = [f"  {person.username:10}{roles_of(person)}" for person in people]
    if password:
        return "\n".join([f"Password (shown only now): {password}", "Sign in as", *lines])
    elsewhere = (
        "" if settings.DATA_DIR == settings.BASE_DIR / "var" else f"ACTIONCENTER_DATA={settings.DATA_DIR} "
    )
    hint = (
        f"or set a new one: {elsewhere}python3 manage.py changepassword {people[0].username}"
        if people
        else ""
    )
    return "\n".join(["Sign in with the password shown on the first start,", hint, *lines])


def roles_of(person: User) -> str:
    return ", ".join(role.name.replace("_", " ").capitalize() for role in sorted(person.roles))


def migrate() -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as error:
        raise CommandError(
            f"The database can't be used: {error}\nCheck ACTIONCENTER_DATABASE_URL and the folder's rights and space."
        ) from error


def web_command(port: int) -> list[str]:
    """One process, four threads: pages are short, and SQLite has one writer anyway."""
    flags = {
        "--interface": "wsgi", "--host": HOST, "--port": str(port), "--workers": "1", "--blocking-threads": "4",
        "--log-level": "warning", "--working-dir": str(settings.BASE_DIR),
    }  # fmt: skip
    pairs = [part for pair in flags.items() for part in pair]
    return [sys.executable, "-m", "granian", "--no-ws", *pairs, "actioncenter.wsgi:application"]


def refuse_busy_port(port: int) -> None:
    # The web server shares ports, so it would start beside another one without a word.
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OverflowError:
            raise CommandError(f"{port} is not a port: choose 1024 to 65535.") from None
        except PermissionError:
            raise CommandError(f"Port {port} needs root: choose one above 1023 with --port.") from None
        except OSError:
            raise CommandError(f"Port {port} is in use: choose another one with --port.") from None


@contextmanager
def only_one_here() -> Iterator[None]:
    """Refuse a second `up` over the same data folder."""
    with (settings.DATA_DIR / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"It is already running over {settings.DATA_DIR}. Stop it first, or give another folder with --data."
            ) from None
        yield


def answers(port: int) -> bool:
    """Return whether the web server answers at all; a redirect to sign-in is an answer."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
    return True
