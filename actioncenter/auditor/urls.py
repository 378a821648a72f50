from django.urls import path

from actioncenter.auditor import views

app_name = "auditor"

urlpatterns = [
    path("actions/<int:number>", views.story, name="story"),
    path("events", views.events, name="events"),
    path("events/<int:number>", views.event, name="event"),
    path("reports", views.reports, name="reports"),
    path("reports/<str:name>.csv", views.report_file, name="report_file"),
    path("reports/<str:name>", views.report, name="report"),
    path("retention", views.retention, name="retention"),
    path("retention/rule", views.change_retention, name="change_retention"),
    path("retention/shortenings/<int:pk>/agree", views.agree_to_shortening, name="agree_to_shortening"),
    path("retention/shortenings/<int:pk>/drop", views.drop_shortening, name="drop_shortening"),
    path("retention/holds", views.place_hold, name="place_hold"),
    path("retention/holds/<int:pk>/release", views.release_hold, name="release_hold"),
    path("views", views.looks, name="looks"),
    path("verification", views.verification, name="verification"),
    path("verification/verify", views.verify, name="verify"),
]
