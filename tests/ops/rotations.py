"""What tests of rotated keys share: a folder of keys of one's own, and other hosts with theirs."""

import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from pytest_django import Settings

from actioncenter import keys
from actioncenter.audit import log, seals
from actioncenter.audit.actor import Actor
from actioncenter.ops.management import rotating
from actioncenter.ops.management.rotating import Key
from actioncenter.settings import checkpoints, describing
from tests.audit.drafts import draft, seal

BY = Actor.command("keys")
ON_SQLITE = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
EACH = pytest.mark.parametrize(
    ("shared_database", "name"),
    [
        *(("sqlite", name) for name in rotating.FILES),
        *(pytest.param("postgres", name, marks=pytest.mark.postgres) for name in ("audit", "signing")),
    ],
    indirect=["shared_database"],
)
"""Only these two are rotated in the database as well as in files."""


class House:
    """This host. `public` is the key that an auditor took home on the first day."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self.move(folder)
        self.public = seals.public_key(settings.SIGNING_KEY)

    def move(self, folder: Path) -> None:
        """Be the host whose keys lie there."""
        self.folder = self._settings.KEYS_DIR = folder
        for name, value in keys.as_settings(folder).items():
            setattr(self._settings, name, value)

    def another(self, name: str) -> Path:
        """A host with the same keys, as they are now."""
        return Path(shutil.copytree(self.folder, self.folder.with_name(name)))


@pytest.fixture
def house(shared_database: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    settings.CHECKPOINTS_DIR = tmp_path / "checkpoints"
    monkeypatch.setattr(rotating, "SETTLE", rotating.SETTLE * 0)
    return House(settings, tmp_path / "keys")


def work() -> None:
    """Some things happen, are sealed and copied."""
    with transaction.atomic():
        log.record_many([draft("group:1"), draft("group:2")])
    seal()
    checkpoints.keep()


def rotate(name: str) -> tuple[str, str]:
    """The id before, and the one after."""
    key = Key(name)
    before = key.id_of(key.ring.current)
    rotating.add(key, by=BY)
    return before, rotating.rotate(key, by=BY)


def command(*words: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command(*words, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def described(part: str = "web") -> None:
    describing.describe(part, by=Actor.system(part))
