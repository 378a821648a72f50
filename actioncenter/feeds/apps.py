from django.apps import AppConfig


class FeedsConfig(AppConfig):
    name = "actioncenter.feeds"
    label = "feeds"
    verbose_name = "Block list"
