from django.urls import path

from actioncenter.accounts.views import notices, preferences, sessions

urlpatterns = [
    path("sign-in", sessions.sign_in, name="sign_in"),
    path("confirm-identity", sessions.confirm_identity, name="confirm_identity"),
    path("sign-out", sessions.sign_out, name="sign_out"),
    path("theme", sessions.theme, name="theme"),
    path("preferences", preferences.shown, name="preferences"),
    path("preferences/keys", preferences.choose_keys, name="choose_keys"),
    path("preferences/keys/switch", preferences.switch_keys, name="switch_keys"),
    path("notices", notices.listed, name="notices"),
    path("notices/read", notices.read_all, name="read_notices"),
    path("notices/mail", notices.choose_mail, name="notices_by_mail"),
    path("notices/<int:pk>/read", notices.read, name="read_notice"),
]
