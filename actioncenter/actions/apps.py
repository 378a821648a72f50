from django.apps import AppConfig


class ActionsConfig(AppConfig):
    name = "actioncenter.actions"
    verbose_name = "Actions"
