from tests.services.database import migrated_template, on_postgres

__all__ = ["migrated_template", "on_postgres"]
