from django.apps import AppConfig

from actioncenter.audit import triggers

OLD_VIEWS = {
    "sqlite": "OLD.at < strftime('%Y-%m-%d %H:%M:%f', 'now', '-180 days')",
    "postgresql": "OLD.at < now() - interval '180 days'",
}
"""No rule keeps less than that."""


class AuditorConfig(AppConfig):
    name = "actioncenter.auditor"
    label = "auditor"
    verbose_name = "Auditor"

    def ready(self) -> None:
        triggers.guard(triggers.Guarded("auditor_pageview", "the log of views", (), OLD_VIEWS))
