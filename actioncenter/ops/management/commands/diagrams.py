"""`manage.py diagrams`: draws docs/states.md anew."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from actioncenter.ops import diagrams


class Command(BaseCommand):
    help = "Draw the state diagrams in docs/states.md from the tables in the code."

    def handle(self, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "docs" / "states.md"
        path.write_text(diagrams.render(), encoding="utf-8")
        self.stdout.write("docs/states.md drawn")
