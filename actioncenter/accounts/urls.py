from django.urls import path

from actioncenter.accounts.views import notices, sessions

urlpatterns = [
    path("sign-in", sessions.sign_in, name="sign_in"),
    path("confirm-identity", sessions.confirm_identity, name="confirm_identity"),
    path("sign-out", sessions.sign_out, name="sign_out"),
    path("theme", sessions.theme, name="theme"),
    path("notices", notices.listed, name="notices"),
    path("notices/read", notices.read_all, name="read_notices"),
    path("notices/mail", notices.choose_mail, name="notices_by_mail"),
    path("notices/<int:pk>/read", notices.read, name="read_notice"),
]
