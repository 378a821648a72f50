"""The hosts of this installation, and whether the database is the one they last worked with."""

import uuid
from typing import Any, Final, Self

from django.db import models
from django.db.models.functions import Now

REFERENCE: Final = "installation"
"""The part whose row holds the fingerprints that all others must have."""


class Host(models.Model):
    """One process kind on one machine, as it described itself when it was last seen.

    `keys` maps the name of each key to a fingerprint of it, never the key.
    """

    name = models.CharField(max_length=120)
    part = models.CharField(max_length=20)
    """web, runner or worker; `installation` for what all of them must agree with."""
    keys = models.JSONField(default=dict)
    version = models.CharField(max_length=40, blank=True)
    skew = models.FloatField(null=True)
    """Seconds by which its clock is ahead of the database's."""
    wakes_lost = models.PositiveBigIntegerField(default=0, db_default=0)
    """Wake-ups that the broker didn't take from this part."""
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint("name", "part", name="host_part_unique")]

    def __str__(self) -> str:
        return f"{self.part} on {self.name}"


class Installation(models.Model):
    """One row. `held_at` is set while the database is older than what was already done with it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    epoch = models.PositiveIntegerField(default=1)
    """Raised each time a person accepts a restored database."""
    held_at = models.DateTimeField(null=True)
    held_reason = models.CharField(max_length=500, blank=True)
    anchor = models.JSONField(default=dict)
    """What the anchors outside the database said when dispatch was held, by host, and where numbers go on."""
    accepted_at = models.DateTimeField(null=True)
    accepted_by_name = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return str(self.public_id)

    @classmethod
    def current(cls) -> Self:
        """The row; made when the installation is used for the first time."""
        return cls.objects.filter(pk=1).first() or cls.objects.get_or_create(pk=1)[0]

    @property
    def floors(self) -> dict[str, int]:
        """Table -> the number above which it went on after the last restore."""
        found: dict[str, Any] = self.anchor.get("floors", {})
        return {table: int(number) for table, number in found.items()}
