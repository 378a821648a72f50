"""When automation loses its licence for one type in one group, and how a person gives it back."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import BreakerState
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change
from actioncenter.settings.models.groups import DeviceGroup

PAGE = "/settings/safeguards"


class BreakerError(Exception):
    """A restoration that isn't allowed; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BreakerQuerySet(models.QuerySet["Breaker"]):
    def live(self) -> "BreakerQuerySet":
        """Those that hold back anything: open, or waiting for how their probe ends."""
        return self.exclude(state=BreakerState.CLOSED)


class Breaker(models.Model):
    """Automation's licence for one type in one group, withdrawn because it went wrong too often."""

    group = models.ForeignKey(DeviceGroup, null=True, on_delete=models.CASCADE, related_name="breakers")
    action_type = models.PositiveSmallIntegerField()
    state = models.PositiveSmallIntegerField(
        choices=[(x.value, x.name) for x in BreakerState], default=BreakerState.OPEN.value
    )
    bad = models.PositiveIntegerField()
    of = models.PositiveIntegerField()
    opened_at = models.DateTimeField(db_default=Now())
    cool_until = models.DateTimeField()
    restored_at = models.DateTimeField(null=True)
    restored_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    restored_by_name = models.CharField(max_length=200, blank=True)
    probe_id = models.BigIntegerField(null=True)
    """The one action that runs by itself before the rest may."""
    closed_at = models.DateTimeField(null=True)

    objects = BreakerQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                Coalesce("group_id", 0),
                "action_type",
                condition=~models.Q(state=BreakerState.CLOSED.value),
                name="breaker_one_live",
            )
        ]

    def __str__(self) -> str:
        return f"{self.bad} of {self.of} went wrong"

    @property
    def label(self) -> str:
        where = self.group.name if self.group else "no group"
        return f"{CATALOGUE[ActionType(self.action_type)].label} in {where}"

    @property
    def is_cool(self) -> bool:
        """Whether its cooling-off is over, by the database's clock."""
        return type(self).objects.filter(pk=self.pk, cool_until__lte=Now()).exists()

    @classmethod
    def open_for(
        cls, group: DeviceGroup | None, kind: ActionType, *, bad: int, of: int, days: int, by: Actor
    ) -> "Breaker":
        """Withdraw the licence. The caller holds the rail of the pair, so nobody opens it twice."""
        made = cls.objects.create(
            group=group, action_type=kind, bad=bad, of=of, cool_until=Now() + timedelta(days=days)
        )
        made.refresh_from_db()
        made._lost(by=by)
        return made

    def reopen(self, *, days: int, by: Actor) -> None:
        """The probe went wrong. The caller holds the rail of the pair."""
        self._set(
            state=BreakerState.OPEN, opened_at=Now(), cool_until=Now() + timedelta(days=days), probe_id=None
        )
        self._lost(by=by)

    def probe(self, action: int, *, by: Actor) -> None:
        """This one runs by itself, the rest wait for how it ends. The caller holds the rail."""
        self._set(probe_id=action)
        self._record(Kind.BREAKER_PROBED, by=by, after={"probe": action})

    def forget_probe(self) -> None:
        """It never ran, so it says nothing; another takes its place. The caller holds the rail."""
        self._set(probe_id=None)

    def close(self, *, by: Actor) -> None:
        """The probe went well: automation has its licence back. The caller holds the rail."""
        self._set(state=BreakerState.CLOSED, closed_at=Now())
        self._record(Kind.BREAKER_CLOSED, by=by, before={"state": "PROBING"}, after={"state": "CLOSED"})
        title = f"Automation is on again: {self.label}"
        notify_admins("breaker_closed", title=title, url=PAGE)

    def restore(self, *, by: Actor, comment: str) -> None:
        """An admin lets one action run as a probe; after the cooling-off, with a reason.

        Raises BreakerError with code `role`, `comment`, `reauthenticate`, `cooling_off` or `changed`.
        """
        if not comment.strip() or len(comment) > 2000:
            raise BreakerError("comment", "Say why automation may try again, in at most 2,000 characters.")
        with fence.exclusive():
            if by.user_id is None or not may_change(by):
                raise BreakerError("role", "Only a person who is an admin restores automation.")
            if not has_proved(by):
                raise BreakerError("reauthenticate", PROOF_NEEDED)
            open_ = type(self).objects.filter(pk=self.pk, state=BreakerState.OPEN)
            restored = open_.filter(cool_until__lte=Now()).update(
                state=BreakerState.PROBING, probe_id=None, restored_at=Now(),
                restored_by=by.user_id, restored_by_name=by.name,
            )  # fmt: skip
            if not restored and open_.exists():
                raise BreakerError(
                    "cooling_off", f"Automation stays off here until {self.cool_until:%Y-%m-%d %H:%M} UTC."
                )
            if not restored:
                raise BreakerError("changed", "Somebody restored it meanwhile.")
            self.refresh_from_db()
            self._record(
                Kind.BREAKER_RESTORED, by=by, before={"state": "OPEN"}, after={"state": "PROBING"},
                detail={"comment": comment},
            )  # fmt: skip
            notify_admins(
                "breaker_restored", title=f"{by.name} lets automation try again: {self.label}", url=PAGE
            )

    @classmethod
    def since(cls, group_id: int | None, kind: int) -> "models.QuerySet[Breaker, Any]":
        """When the licence was last given back: what ended before says nothing any more."""
        closed = cls.objects.filter(group_id=group_id, action_type=kind, state=BreakerState.CLOSED)
        return closed.order_by(F("closed_at").desc(nulls_last=True)).values_list("closed_at", flat=True)

    def _set(self, **changes: Any) -> None:
        type(self).objects.filter(pk=self.pk).update(**changes)
        self.refresh_from_db()

    def _lost(self, *, by: Actor) -> None:
        """Say that the licence is gone; a raise that waits in the group goes too."""
        after = {"bad": self.bad, "of": self.of, "cool_until": self.cool_until.isoformat()}
        self._record(Kind.BREAKER_OPENED, by=by, after=after)
        if self.group is not None:
            self.group.drop_waiting_raise(by=by)
        notify_admins(
            "breaker_opened",
            title=f"Automation is off: {self.label}. {self.bad} of the last {self.of} went wrong",
            url=PAGE,
            severity=Severity.URGENT,
        )

    def _record(self, kind: Kind, *, by: Actor, after: dict[str, Any], **more: Any) -> None:
        log.record(
            kind,
            by=by,
            subject=f"breaker:{self.pk}",
            subject_name=self.label[:300],
            after=after,
            group_id=self.group_id,
            **more,
        )
