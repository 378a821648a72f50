"""Every address of the product; each app brings its own list."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("actioncenter.accounts.urls")),
    path("", include("actioncenter.actions.urls")),
    path("", include("actioncenter.live.urls")),
]
