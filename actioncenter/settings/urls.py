from django.urls import path

from actioncenter.settings import views

app_name = "settings"

urlpatterns = [
    path("authority", views.authority, name="authority"),
    path("authority.csv", views.authority_file, name="authority_file"),
    path("connectors", views.connectors, name="connectors"),
    path("connectors/<int:pk>/pace", views.pace, name="pace"),
    path("connectors/<int:pk>/reset", views.reset, name="reset_connector"),
    path("groups", views.groups, name="groups"),
    path("groups/<int:pk>", views.group, name="group"),
    path("groups/<int:pk>/level", views.level, name="level"),
    path("groups/<int:pk>/level/keep", views.keep_level, name="keep_level"),
    path("rules", views.rules, name="rules"),
    path("rules/add", views.add_rule, name="add_rule"),
    path("rules/<int:pk>", views.rule, name="rule"),
    path("rules/<int:pk>/remove", views.remove_rule, name="remove_rule"),
    path("safeguards", views.safeguards, name="safeguards"),
    path("safeguards/breakers/<int:pk>/restore", views.restore_breaker, name="restore_breaker"),
    path("safeguards/<str:kind>/<int:pk>/renew", views.renew, name="renew"),
    path("stops", views.stops, name="stops"),
    path("stops/pull", views.stop, name="stop"),
    path("stops/<int:pk>/resume", views.resume, name="resume"),
    path("stops/<int:pk>/explain", views.explain, name="explain"),
    path("raises/<int:pk>/confirm", views.confirm_level, name="confirm_level"),
    path("raises/<int:pk>/cancel", views.cancel_level, name="cancel_level"),
]
