from django.urls import path

from actioncenter.ops import views

app_name = "ops"

urlpatterns = [
    path("metrics", views.metrics, name="metrics"),
    path("settings/health", views.health, name="health"),
    path("settings/health/accept-restored", views.accept_restored, name="accept_restored"),
]
