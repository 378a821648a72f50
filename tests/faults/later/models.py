"""What the later release knows of an action beyond this one."""

from django.db import models

from actioncenter.actions.models import Action

models.CharField(max_length=10, default="", db_default="").contribute_to_class(Action, "first")
models.CharField(max_length=10, default="", db_default="").contribute_to_class(Action, "last")
