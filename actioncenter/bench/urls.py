"""The product's addresses, with the peers beside them."""

from django.urls import include, path

urlpatterns = [
    path("", include("actioncenter.urls")),
]
