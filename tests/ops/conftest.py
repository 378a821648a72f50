"""A database with roles, for what SQLite hasn't got."""

from tests.services.database import migrated_template, on_postgres

__all__ = ["migrated_template", "on_postgres"]
