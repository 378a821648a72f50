from django.urls import path

from actioncenter.live import views

app_name = "live"
urlpatterns = [path("live/counts", views.counts, name="counts")]
