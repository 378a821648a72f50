from django.apps import AppConfig


class SettingsConfig(AppConfig):
    name = "actioncenter.settings"
    verbose_name = "Settings"
