"""Lists that policy consults: folders, exclusions, indicators, verdicts of sources."""

from django.db import models
from django.db.models.functions import Now

from actioncenter.settings.enums import FolderList, IndicatorEffect, IndicatorKind
from actioncenter.settings.models.reviewing import Reviewed


class FolderRule(models.Model):
    """One pattern of the core or the temporary list (domain §4.2)."""

    which = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in FolderList])
    pattern = models.CharField(max_length=400)
    enabled = models.BooleanField(default=True)
    documented = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["which", "id"]
        constraints = [models.UniqueConstraint("which", "pattern", name="folder_rule_unique")]

    def __str__(self) -> str:
        return self.pattern


class FolderExclusion(Reviewed):
    """What investigations ignore (domain §7.3): the kinds given are combined with AND."""

    SUBJECT = "exclusion"

    folder = models.CharField(max_length=400, blank=True)
    extensions = models.JSONField(default=list, blank=True)
    file_names = models.JSONField(default=list, blank=True)
    description = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.folder or ", ".join([*self.extensions, *self.file_names])


class Indicator(Reviewed):
    """Allow overrides a bad verdict, Block makes it bad (domain §7.3). Only Allow is reviewed."""

    SUBJECT = "indicator"
    SUPPRESSES = models.Q(effect=IndicatorEffect.ALLOW)

    kind = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in IndicatorKind])
    value = models.CharField(max_length=1024)
    effect = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in IndicatorEffect])
    group = models.ForeignKey("settings.DeviceGroup", null=True, blank=True, on_delete=models.CASCADE)
    description = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["kind", "value"], name="indicator_value")]

    def __str__(self) -> str:
        return self.value


class SourceVerdicts(models.Model):
    """What the words of a source without our verdicts mean, e.g. {"severity:high": 4}."""

    source = models.CharField(max_length=100, unique=True)
    verdicts = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.source
