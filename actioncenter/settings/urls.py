from django.urls import path

from actioncenter.settings import views

app_name = "settings"

urlpatterns = [
    path("authority", views.authority, name="authority"),
    path("authority.csv", views.authority_file, name="authority_file"),
    path("connectors", views.connectors, name="connectors"),
    path("connectors/add/<str:kind>", views.add_connector, name="add_connector"),
    path("connectors/<int:pk>", views.connector, name="connector"),
    path("connectors/<int:pk>/edit", views.edit_connector, name="edit_connector"),
    path("connectors/<int:pk>/check", views.check_connector, name="check_connector"),
    path("connectors/<int:pk>/switch", views.switch_connector, name="switch_connector"),
    path("connectors/<int:pk>/dry-run", views.rehearse_connector, name="rehearse_connector"),
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
    path("streams", views.streams, name="streams"),
    path("streams/add", views.add_stream, name="add_stream"),
    path("streams/<int:pk>/switch", views.switch_stream, name="switch_stream"),
    path("streams/<int:pk>/remove", views.remove_stream, name="remove_stream"),
    path("raises/<int:pk>/confirm", views.confirm_level, name="confirm_level"),
    path("raises/<int:pk>/cancel", views.cancel_level, name="cancel_level"),
]
