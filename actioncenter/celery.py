"""The Celery app of the scaled mode. It finds tasks by name and imports none."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "actioncenter.conf")

app = Celery("actioncenter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
