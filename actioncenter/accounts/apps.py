from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "actioncenter.accounts"
    label = "accounts"
    verbose_name = "Accounts"
