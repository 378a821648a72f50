"""The entrance for ASGI servers. Refuses to start where the audit log could be rewritten."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "actioncenter.conf")

application = get_asgi_application()

from actioncenter.audit import guard  # noqa: E402 - models load only once Django is set up
from actioncenter.ops import presence  # noqa: E402

guard.begin()
presence.begin()
