from django.urls import path

from actioncenter.accounts import views

urlpatterns = [
    path("sign-in", views.sign_in, name="sign_in"),
    path("sign-out", views.sign_out, name="sign_out"),
    path("theme", views.theme, name="theme"),
]
