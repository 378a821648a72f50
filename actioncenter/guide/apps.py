from django.apps import AppConfig


class GuideConfig(AppConfig):
    name = "actioncenter.guide"
    verbose_name = "Help and tour"
