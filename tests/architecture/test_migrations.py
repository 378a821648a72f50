"""What the code of yesterday needs of the tables of tomorrow: while an installation is updated both are at work."""

from typing import Final

import pytest
from django.conf import settings
from django.db.migrations import AddField, CreateModel, Migration
from django.db.migrations.loader import MigrationLoader
from django.db.models import ManyToManyField

FIRST: Final = {
    ("accounts", "0001_initial"), ("audit", "0001_initial"), ("actions", "0001_initial"), ("actions", "0002_initial"),
    ("actions", "0003_initial"), ("investigations", "0001_initial"), ("investigations", "0002_initial"),
    ("settings", "0001_initial"), ("settings", "0002_installation"),
}  # fmt: skip
"""No code was at work before these."""
OURS: Final = {"accounts", "actions", "audit", "auditor", "investigations", "settings"}
MIGRATIONS: Final = {
    key: migration
    for key, migration in MigrationLoader(None).disk_migrations.items()
    if key[0] in OURS and key not in FIRST
}


def unknown_to_old_code(migration: Migration) -> list[str]:
    """New columns that an INSERT which doesn't name them would break on."""
    new = {each.name_lower for each in migration.operations if isinstance(each, CreateModel)}
    made = [each for each in migration.operations if isinstance(each, AddField)]
    return [
        f"{each.model_name}.{each.name}"
        for each in made
        if each.model_name_lower not in new
        if not each.field.null
        and not each.field.has_db_default()
        and not isinstance(each.field, ManyToManyField)
    ]


def test_the_first_migrations_are_there() -> None:
    found = MigrationLoader(None).disk_migrations
    assert found.keys() >= FIRST
    assert (
        {key[0] for key in MIGRATIONS}
        <= OURS
        <= {config.rpartition(".")[2] for config in settings.INSTALLED_APPS}
    )


@pytest.mark.parametrize("key", sorted(MIGRATIONS), ids=".".join)
def test_old_code_can_still_write(key: tuple[str, str]) -> None:
    assert unknown_to_old_code(MIGRATIONS[key]) == []
