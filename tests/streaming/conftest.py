from tests.actions.real_processes import migrated_file, shared_database
from tests.audit.sealers import other
from tests.services.database import migrated_template, on_postgres

__all__ = ["migrated_file", "migrated_template", "on_postgres", "other", "shared_database"]
