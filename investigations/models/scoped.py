"""The manager through which pages and API read scoped tables."""

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

from actioncenter.settings.access import visible

if TYPE_CHECKING:
    from actioncenter.accounts.models import User


Row = TypeVar("Row", bound=models.Model)


class ScopedQuerySet(models.QuerySet[Row]):
    """Rows with `area` and `group_id`."""

    def for_user(self, user: "User") -> Self:
        return visible(self, user)
