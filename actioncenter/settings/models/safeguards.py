"""Figures that bound automation and decisions for the whole installation. One row."""

from django.db import models

Q = models.Q


class Safeguards(models.Model):
    """Read by `Safeguards.current()`. Minutes, hours, days and percent as the names say."""

    device_cap = models.PositiveIntegerField(default=5)
    device_cap_percent = models.PositiveSmallIntegerField(default=2)
    entity_cap = models.PositiveIntegerField(default=100)
    entity_cap_percent = models.PositiveSmallIntegerField(default=20)
    confidence_floor = models.PositiveSmallIntegerField(default=75)
    raise_delay_hours = models.PositiveSmallIntegerField(default=4)
    breaker_bad_percent = models.PositiveSmallIntegerField(default=20)
    breaker_last = models.PositiveSmallIntegerField(default=20)
    cooling_off_days = models.PositiveSmallIntegerField(default=7)
    stale_high_minutes = models.PositiveIntegerField(default=30)
    stale_medium_minutes = models.PositiveIntegerField(default=60)
    stale_low_minutes = models.PositiveIntegerField(default=240)
    break_glass = models.BooleanField(default=True)
    break_glass_review_hours = models.PositiveSmallIntegerField(default=24)
    suppression_days = models.PositiveSmallIntegerField(default=30)

    class Meta:
        constraints = [
            models.CheckConstraint(name="safeguards_one_row", condition=Q(id=1)),
            models.CheckConstraint(
                name="safeguards_confidence", condition=Q(confidence_floor__gte=75, confidence_floor__lte=100)
            ),
            models.CheckConstraint(
                name="safeguards_shares",
                condition=Q(device_cap_percent__lte=100, entity_cap_percent__lte=100),
            ),
        ]

    def __str__(self) -> str:
        return "Safeguards"

    @classmethod
    def current(cls) -> "Safeguards":
        """The row, or the defaults while nobody has changed any."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)
