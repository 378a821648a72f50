"""The product's addresses, with what it is compared to beside them."""

from django.urls import include, path

from actioncenter.bench.clicks import redirecting
from actioncenter.bench.pages.bare import bare
from actioncenter.bench.peers import default_site, tuned_site

urlpatterns = [
    path("bench/default/", default_site.urls),
    path("bench/tuned/", tuned_site.urls),
    path("bench/bare/<slug:tab>", bare),
    path("bench/redirect/<str:token>", redirecting),
    path("", include("actioncenter.urls")),
]
