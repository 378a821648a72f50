from django.urls import path

from actioncenter.feeds import views

app_name = "feeds"

urlpatterns = [
    path("click/<str:token>", views.click, name="click"),
    path("feeds/<str:file>", views.pull, name="pull"),
    path("feeds/<str:token>/<str:file>", views.pull, name="pull_by_address"),
    path("settings/feeds", views.overview, name="overview"),
    path("settings/feeds/consumers", views.add, name="add"),
    path("settings/feeds/consumers/<int:pk>/revoke", views.revoke, name="revoke"),
    path("settings/feeds/clicks", views.clicks, name="clicks"),
]
