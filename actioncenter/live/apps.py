from django.apps import AppConfig


class LiveConfig(AppConfig):
    name = "actioncenter.live"
    verbose_name = "Live updates"
