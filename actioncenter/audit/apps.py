from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "actioncenter.audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from actioncenter.audit import checks  # noqa: F401, PLC0415 - registers itself

        post_migrate.connect(protect, sender=self)


def protect(using: str, **kwargs: Any) -> None:
    """A signal, because only Django knows when a migration or a flush is over."""
    from actioncenter.audit import triggers  # noqa: PLC0415 - apps aren't loaded above

    connection = connections[using]
    if triggers.TABLE in connection.introspection.table_names():
        triggers.install(connection)
