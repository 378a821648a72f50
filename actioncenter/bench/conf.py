"""The product's own settings plus Django's admin, which stands beside us as a peer and nowhere else."""

from actioncenter.conf import *  # noqa: F403, TID251 - the settings themselves
from actioncenter.conf import INSTALLED_APPS, LOGGING, STORAGES  # noqa: TID251

INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.admin.apps.SimpleAdminConfig", "actioncenter.bench"]
ROOT_URLCONF = "actioncenter.bench.urls"
# Names are hashed as in production; compressing the files would only make the start slower.
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
# A thread that writes views of pages would be measured with whatever runs then.
VIEWS_FLUSH_SECONDS = 0.0
LOGGING = {
    **LOGGING,
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    # Thousands lose on purpose; each would be told of.
    "loggers": {
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        "django.request": {"level": "ERROR"},
    },
}
