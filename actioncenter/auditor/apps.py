from django.apps import AppConfig


class AuditorConfig(AppConfig):
    name = "actioncenter.auditor"
    label = "auditor"
    verbose_name = "Auditor"
