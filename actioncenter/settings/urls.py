from django.urls import path

from actioncenter.settings import views

app_name = "settings"

urlpatterns = [
    path("groups", views.groups, name="groups"),
    path("groups/<int:pk>", views.group, name="group"),
    path("groups/<int:pk>/level", views.level, name="level"),
    path("raises/<int:pk>/confirm", views.confirm_level, name="confirm_level"),
    path("raises/<int:pk>/cancel", views.cancel_level, name="cancel_level"),
]
