from tests.actions.real_processes import migrated_file, shared_database
from tests.services.database import migrated_template, on_postgres

__all__ = ["migrated_file", "migrated_template", "on_postgres", "shared_database"]
