from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections

from actioncenter.audit import triggers


@register(Tags.database)
def append_only(app_configs: Any, databases: Sequence[str] | None, **kwargs: Any) -> list[CheckMessage]:
    """A warning and no error: an error would stop `migrate`, which puts the triggers back.

    Starting without them is refused elsewhere, by `triggers.require`.
    """
    if "default" not in (databases or ()):
        return []
    connection = connections["default"]
    if triggers.TABLE not in connection.introspection.table_names():
        return []
    absent = triggers.missing(connection)
    if not absent:
        return []
    return [
        Warning(
            f"The audit log can be rewritten: {', '.join(absent)} missing.",
            hint="Run `manage.py migrate`, which makes them again.",
            id="audit.W001",
        )
    ]
