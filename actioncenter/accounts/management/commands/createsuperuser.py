"""Django's own would leave no event."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Not here: see `manage.py person`."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("That would leave no trace. Use `manage.py person add NAME --role admin`.")
