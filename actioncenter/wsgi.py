"""The entrance for WSGI servers. Refuses to start on an audit log that could be rewritten."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "actioncenter.conf")

application = get_wsgi_application()

from actioncenter.audit import triggers  # noqa: E402 - models load only once Django is set up

triggers.require()
