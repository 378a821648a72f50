"""Where this host keeps copies of the seals: outside of the database, one file for each past of an installation."""

from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from actioncenter.audit import copies
from actioncenter.audit.models import Seal
from actioncenter.settings.models import Installation


def path() -> Path:
    """A database that a person accepted after it was restored begins another past, in another file."""
    installation = Installation.current()
    return Path(settings.CHECKPOINTS_DIR) / f"{installation.public_id}-{installation.epoch}.jsonl"


def missing() -> "QuerySet[Seal]":
    return copies.missing(path())


def keep() -> int:
    return copies.keep(path())
