"""Figures that bound automation and decisions for the whole installation. One row."""

from collections.abc import Mapping
from typing import Any, Final, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Max
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change

Q = models.Q
SUBJECT: Final = "safeguards"
LOWEST_FLOOR: Final = 75
LOOSER: Final[Mapping[str, int]] = {
    "device_cap": 1,
    "device_cap_percent": 1,
    "entity_cap": 1,
    "entity_cap_percent": 1,
    "confidence_floor": -1,
    "raise_delay_hours": -1,
    "breaker_bad_percent": 1,
    "breaker_last": 1,
    "cooling_off_days": -1,
    "stale_high_minutes": 1,
    "stale_medium_minutes": 1,
    "stale_low_minutes": 1,
    "break_glass": 1,
    "break_glass_review_hours": 1,
    "suppression_days": 1,
    "read_back_minutes": 1,
}
"""Each figure, and whether a higher (1) or a lower (-1) one lets more happen without a person."""


class SafeguardsError(Exception):
    """A change of the safeguards that isn't allowed; `code` says why, `field` which figure."""

    def __init__(self, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field


def _between(low: int, high: int) -> list[Any]:
    return [MinValueValidator(low), MaxValueValidator(high)]


class Safeguards(models.Model):
    """Read by `Safeguards.current()`. Minutes, hours, days and percent as the names say."""

    device_cap = models.PositiveIntegerField(default=5, validators=_between(0, 100_000))
    device_cap_percent = models.PositiveSmallIntegerField(default=2, validators=_between(0, 100))
    entity_cap = models.PositiveIntegerField(default=100, validators=_between(0, 100_000))
    entity_cap_percent = models.PositiveSmallIntegerField(default=20, validators=_between(0, 100))
    confidence_floor = models.PositiveSmallIntegerField(default=75, validators=_between(LOWEST_FLOOR, 100))
    raise_delay_hours = models.PositiveSmallIntegerField(default=4, validators=_between(1, 72))
    breaker_bad_percent = models.PositiveSmallIntegerField(default=20, validators=_between(1, 100))
    breaker_last = models.PositiveSmallIntegerField(default=20, validators=_between(5, 500))
    cooling_off_days = models.PositiveSmallIntegerField(default=7, validators=_between(7, 90))
    stale_high_minutes = models.PositiveIntegerField(default=30, validators=_between(1, 43_200))
    stale_medium_minutes = models.PositiveIntegerField(default=60, validators=_between(1, 43_200))
    stale_low_minutes = models.PositiveIntegerField(default=240, validators=_between(1, 43_200))
    break_glass = models.BooleanField(default=True)
    break_glass_review_hours = models.PositiveSmallIntegerField(default=24, validators=_between(1, 168))
    suppression_days = models.PositiveSmallIntegerField(default=0, validators=_between(0, 365))
    """0 is never, as documented (domain §7.3); 30 is what a strict installation sets."""
    read_back_minutes = models.PositiveSmallIntegerField(
        default=60, db_default=60, validators=_between(5, 1440)
    )
    """How long what is in force goes without being looked at again."""
    suppressing_since = models.DateTimeField(null=True)
    """When the period last changed; it starts anew then, so nothing lapses because it became shorter."""

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

    @classmethod
    def revision(cls) -> int:
        """How often they were changed: what a page has seen."""
        newest = Event.objects.filter(stream=SUBJECT).aggregate(newest=Max("seq"))
        return newest["newest"] or 0

    def cap(self, *, device_wide: bool, devices: int) -> int:
        """How many automatic actions a group of so many devices may have within the window."""
        if device_wide:
            return max(self.device_cap, devices * self.device_cap_percent // 100)
        return max(self.entity_cap, devices * self.entity_cap_percent // 100)

    @property
    def bad_enough(self) -> int:
        """How many of the last `breaker_last` must have gone wrong for a breaker to open."""
        return max(1, -(-self.breaker_last * self.breaker_bad_percent // 100))

    @property
    def figures(self) -> dict[str, int]:
        return {name: int(getattr(self, name)) for name in LOOSER}

    @classmethod
    def change(cls, *, by: Actor, comment: str = "", expected: int | None = None, **figures: int) -> Self:
        """Set some of the figures; those who only tighten need no fresh proof of who they are.

        `expected` is the revision the page showed. Raises SafeguardsError with code `role`, `changed`,
        `unknown`, `range`, `unchanged` or `reauthenticate`.
        """
        unknown = figures.keys() - LOOSER.keys()
        if unknown:
            raise SafeguardsError("unknown", f"There is no figure {min(unknown)}.", min(unknown))
        with fence.exclusive():
            if not may_change(by):
                raise SafeguardsError("role", "Only an admin changes the safeguards.")
            if expected is not None and expected != cls.revision():
                raise SafeguardsError(
                    "changed", "Somebody changed the safeguards since you opened this page."
                )
            row = cls.objects.filter(pk=1).first() or cls(pk=1)
            before = row.figures
            row._set(figures)
            changed = {name for name, value in row.figures.items() if value != before[name]}
            if not changed:
                raise SafeguardsError("unchanged", "Nothing was changed.")
            if not has_proved(by) and any(
                _loosens(name, before[name], row.figures[name]) for name in changed
            ):
                raise SafeguardsError("reauthenticate", PROOF_NEEDED)
            if "suppression_days" in changed:
                row.suppressing_since = Now()
            row.save()
            row.refresh_from_db()
            row._tell(before, changed, by=by, comment=comment)
        return row

    def _set(self, figures: Mapping[str, int]) -> None:
        for name, value in figures.items():
            if name == "confidence_floor" and value < LOWEST_FLOOR:
                message = f"The confidence floor may be raised, never set below {LOWEST_FLOOR}."
                raise SafeguardsError("range", message, name)
            setattr(self, name, value)
        try:
            self.clean_fields(exclude=["id", "suppressing_since"])
        except ValidationError as error:
            name, said = next(iter(error.message_dict.items()))
            label = name.replace("_", " ").capitalize()
            raise SafeguardsError("range", f"{label}: {' '.join(said)}", name) from error

    def _tell(self, before: Mapping[str, int], changed: set[str], *, by: Actor, comment: str) -> None:
        """The event and the notices."""
        after = self.figures
        log.record(
            Kind.SAFEGUARDS_CHANGED,
            by=by,
            subject=SUBJECT,
            subject_name="Safeguards",
            before={name: before[name] for name in sorted(changed)},
            after={name: after[name] for name in sorted(changed)},
            detail={"comment": comment} if comment else None,
        )
        loosened = any(_loosens(name, before[name], after[name]) for name in changed)
        notify_admins(
            "safeguards_changed",
            title=f"{by.name} changed the safeguards: {_in_words(before, after, changed)}",
            url="/settings/safeguards",
            severity=Severity.WARNING if loosened else Severity.INFO,
        )


def _loosens(name: str, before: int, after: int) -> bool:
    if name == "suppression_days":
        # 0 is never, the longest of all.
        before, after = before or 10_000, after or 10_000
    return (after - before) * LOOSER[name] > 0


def _in_words(before: Mapping[str, int], after: Mapping[str, int], changed: set[str]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {before[name]} → {after[name]}" for name in LOOSER if name in changed
    )
