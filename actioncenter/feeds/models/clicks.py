"""Who followed a signed link. A program may have: mail gateways open links before people do."""

from typing import ClassVar

from django.db import models

from actioncenter.feeds.enums import ClickResult


class Click(models.Model):
    """Written in batches (feeds/clicking.py), never changed."""

    at = models.DateTimeField()
    url = models.TextField()
    recipient = models.CharField(max_length=320, blank=True)
    """Whom the link was made for, as it says itself."""
    result = models.PositiveSmallIntegerField(choices=[(each.value, each.name) for each in ClickResult])
    address = models.CharField(max_length=60, blank=True)
    agent = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["at", "id"], name="click_at")]

    def __str__(self) -> str:
        return self.url
