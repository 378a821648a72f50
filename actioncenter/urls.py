"""Every address of the product; each app brings its own list."""

from django.urls import URLPattern, URLResolver, include, path

from actioncenter.actions import dashboard

handler500 = "actioncenter.web.outage.server_error"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", dashboard.home, name="home"),
    path("", include("actioncenter.accounts.urls")),
    path("", include("actioncenter.actions.urls")),
    path("", include("actioncenter.live.urls")),
    path("", include("actioncenter.feeds.urls")),
    path("audit/", include("actioncenter.auditor.urls")),
    path("", include("investigations.urls")),
    path("", include("actioncenter.guide.urls")),
    path("", include("actioncenter.ops.urls")),
    path("settings/", include("actioncenter.settings.urls")),
]
