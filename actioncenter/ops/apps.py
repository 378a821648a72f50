from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "actioncenter.ops"
    verbose_name = "Operations"
