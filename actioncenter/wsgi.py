"""The entrance for WSGI servers. Refuses to start where the audit log could be rewritten."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from granian.utils.proxies import wrap_wsgi_with_proxy_headers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "actioncenter.conf")

application = get_wsgi_application()
if settings.PROXIES:
    # Else everybody would fail to sign in from the same address, the proxy's.
    application = wrap_wsgi_with_proxy_headers(application, settings.PROXIES)

from actioncenter.audit import guard  # noqa: E402 - models load only once Django is set up
from actioncenter.ops import presence  # noqa: E402

guard.begin()
presence.begin()
