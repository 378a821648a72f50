"""Device groups, their automation level, and how a level changes."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models.functions import Lower, Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import admins, notify_admins
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import LEVEL_LABELS, AutomationLevel, BreakerState, StopScope, is_raise
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_ask, may_change
from actioncenter.settings.models.safeguards import Safeguards

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from actioncenter.settings.models.breakers import Breaker


class LevelError(Exception):
    """A level change that isn't allowed; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _require_admin(by: Actor) -> None:
    """A person must be an admin now, inside the fence; the product's own parts and commands may."""
    if not may_change(by):
        raise LevelError("role", "Only an admin changes an automation level.")


def _require_proof(by: Actor) -> None:
    """Whatever lets automation do more needs a fresh proof of who asks; less never does."""
    if not has_proved(by):
        raise LevelError("reauthenticate", PROOF_NEEDED)


class GroupError(Exception):
    """A change of groups that isn't allowed; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DeviceGroup(models.Model):
    """Devices by matching rule; rank 1 wins. The default group has no rank and no rules."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True)
    rank = models.PositiveIntegerField(null=True, blank=True)
    level = models.PositiveSmallIntegerField(default=AutomationLevel.SEMI_ALL)
    level_confirmed = models.BooleanField(default=False)
    is_default = models.BooleanField(default=False)
    critical = models.BooleanField(default=False)
    recipe_isolates = models.BooleanField(default=False)
    access = models.ManyToManyField(Group, blank=True, related_name="device_groups")
    created_at = models.DateTimeField(db_default=Now())

    if TYPE_CHECKING:
        breakers: RelatedManager["Breaker"]
        rules: RelatedManager["GroupRule"]
        raises: RelatedManager["LevelRaise"]

    class Meta:
        ordering = [models.F("rank").asc(nulls_last=True), "id"]
        constraints = [
            models.UniqueConstraint(Lower("name"), name="group_name_unique"),
            models.UniqueConstraint("rank", name="group_rank_unique"),
            models.UniqueConstraint(
                "is_default", condition=models.Q(is_default=True), name="group_one_default"
            ),
            models.CheckConstraint(
                condition=models.Q(is_default=True, rank__isnull=True)
                | models.Q(is_default=False, rank__isnull=False),
                name="group_default_has_no_rank",
            ),
            models.CheckConstraint(
                condition=models.Q(level__in=[level.value for level in AutomationLevel]),
                name="group_level_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def automation(self) -> AutomationLevel:
        return AutomationLevel(self.level)

    def promote(self, rank: int, *, by: Actor) -> None:
        """Take this rank; groups between it and the old one move by one. Raises GroupError.

        Devices may move, so it is called inside investigations.membership.change_groups only.
        """
        ranked = list(DeviceGroup.objects.select_for_update().filter(is_default=False).order_by("rank"))
        old = next((group.rank for group in ranked if group.pk == self.pk), None)
        if old is None:
            raise GroupError("default", "The default group always comes last and has no rank.")
        if not 1 <= rank <= len(ranked):
            raise GroupError("rank", f"A rank lies between 1 and {len(ranked)}.")
        ranked.sort(key=lambda group: group.pk == self.pk)
        ranked.insert(rank - 1, ranked.pop())
        # Two steps, because no two groups may have the same rank in between.
        above = len(ranked) + max(group.rank or 0 for group in ranked)
        for step in (above, 0):
            for at, group in enumerate(ranked, start=1):
                DeviceGroup.objects.filter(pk=group.pk).update(rank=step + at)
        self.rank = rank
        self.record(Kind.GROUP_CHANGED, by=by, before={"rank": old}, after={"rank": rank})

    def remove(self, *, by: Actor) -> None:
        """Delete it; what was decided under it keeps its name. Raises GroupError. As `promote`."""
        if self.is_default:
            raise GroupError("default", "The default group can't be deleted.")
        if self.access.exists():
            # What a deleted group has decided belongs to no group, and everybody would see it.
            raise GroupError("restricted", "Open the group to everybody before deleting it.")
        if self.breakers.exclude(state=BreakerState.CLOSED).exists():
            # Its devices would go where automation may act.
            raise GroupError("breaker", "Automation is off for a type of action here; restore it first.")
        if apps.get_model("settings", "Stop").objects.in_force().filter(scope=StopScope.GROUP, value=self.pk):
            # Its devices would go where nothing holds them.
            raise GroupError("stopped", "Execution is stopped here; give it back before deleting the group.")
        before = {"name": self.name, "rank": self.rank, "level": self.automation.name}
        self.record(Kind.GROUP_DELETED, by=by, before=before, after=None)
        self.delete()

    def pending_raise(self) -> "LevelRaise | None":
        return self.raises.filter(ended_at__isnull=True).first()

    @property
    def revision(self) -> int:
        """How often it was changed: what a page has seen."""
        newest = Event.objects.filter(stream=f"group:{self.pk}").aggregate(newest=models.Max("seq"))
        return newest["newest"] or 0

    def change_level(
        self, new: AutomationLevel, *, by: Actor, comment: str = "", revision: int | None = None
    ) -> "LevelRaise | None":
        """Lower at once, or ask for a raise (design §4). Never retroactive.

        Returns the waiting raise, or None when the level is in force. Raises LevelError, with code
        `changed` if somebody changed the group since the `revision` that was seen.
        """
        with fence.exclusive():
            _require_admin(by)
            group = DeviceGroup.objects.select_for_update().get(pk=self.pk)
            old = group.automation
            if revision is not None and revision != group.revision:
                raise LevelError("changed", f"Somebody changed {group.name} since you opened this page.")
            if new == old:
                raise LevelError("unchanged", f"{group.name} already has this level.")
            if is_raise(old, new):
                _require_proof(by)
                group._require_cooled()
            group.drop_waiting_raise(by=by)
            if is_raise(old, new):
                waiting = LevelRaise.request(group, new, by=by, comment=comment)
            else:
                group._set_level(new, by=by, kind=Kind.GROUP_LEVEL_LOWERED, comment=comment)
                waiting = None
        self.level = group.level
        return waiting

    def confirm_level(self, *, by: Actor, comment: str = "", revision: int | None = None) -> None:
        """The level is still wanted, for another year. Raises LevelError, as `change_level`."""
        with fence.exclusive():
            _require_admin(by)
            _require_proof(by)
            group = DeviceGroup.objects.select_for_update().get(pk=self.pk)
            if revision is not None and revision != group.revision:
                raise LevelError("changed", f"Somebody changed {group.name} since you opened this page.")
            DeviceGroup.objects.filter(pk=group.pk).update(level_confirmed=True)
            level = {"level": group.automation.name}
            group.record(Kind.GROUP_LEVEL_CONFIRMED, by=by, before=level, after=level, comment=comment)

    def _require_cooled(self) -> None:
        """After harm nothing more may run by itself before the cooling-off is over."""
        hot = self.breakers.filter(cool_until__gt=Now()).exclude(state=BreakerState.CLOSED)
        latest = hot.aggregate(latest=models.Max("cool_until"))["latest"]
        if latest is not None:
            raise LevelError(
                "cooling_off",
                f"Automatic actions went wrong in {self.name}: its level can't be raised"
                f" before {latest:%Y-%m-%d %H:%M} UTC.",
            )

    def drop_waiting_raise(self, *, by: Actor) -> None:
        for waiting in self.raises.select_for_update().filter(ended_at__isnull=True):
            waiting.end(by=by, cancelled=True)

    def _set_level(self, new: AutomationLevel, *, by: Actor, kind: Kind, comment: str = "") -> None:
        old = self.automation
        self.level = new
        self.level_confirmed = True
        self.save(update_fields=["level", "level_confirmed"])
        before, after = {"level": old.name}, {"level": new.name}
        self.record(kind, by=by, before=before, after=after, comment=comment)

    @classmethod
    def unconfirmed_at_full(cls) -> "models.QuerySet[DeviceGroup]":
        return cls.objects.filter(level=AutomationLevel.FULL, level_confirmed=False).order_by("pk")

    def hold_back(self, *, by: Actor) -> None:
        """To the level at which a person decides everything, still to be confirmed. Under the exclusive fence."""
        before = {"level": self.automation.name}
        self.level = AutomationLevel.SEMI_ALL
        self.save(update_fields=["level"])
        after = {"level": self.automation.name}
        self.record(
            Kind.GROUP_LEVEL_LOWERED, by=by, before=before, after=after, comment="Full was for the simulator."
        )

    def record(
        self,
        kind: Kind,
        *,
        by: Actor,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
        comment: str = "",
    ) -> None:
        """Write an audit event about this group."""
        log.record(
            kind,
            by=by,
            subject=f"group:{self.pk}",
            subject_name=self.name,
            before=before,
            after=after,
            detail={"comment": comment} if comment else None,
            group_id=self.pk,
        )


class GroupRule(models.Model):
    """One row of a matching rule: OR within a property, AND between properties."""

    PROPERTIES = ["name", "domain", "tag", "os"]
    OPERATORS = ["starts_with", "ends_with", "contains", "equals"]

    group = models.ForeignKey(DeviceGroup, on_delete=models.CASCADE, related_name="rules")
    property = models.CharField(max_length=10, choices=[(p, p) for p in PROPERTIES])
    operator = models.CharField(max_length=12, choices=[(o, o) for o in OPERATORS])
    value = models.CharField(max_length=255)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.property} {self.operator} {self.value}"


class LevelRaise(models.Model):
    """A raise that waits for a second admin or for its delay; every admin is told and may cancel."""

    group = models.ForeignKey(DeviceGroup, on_delete=models.CASCADE, related_name="raises")
    old_level = models.PositiveSmallIntegerField()
    new_level = models.PositiveSmallIntegerField()
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_by_name = models.CharField(max_length=200)
    requested_at = models.DateTimeField(db_default=Now())
    effective_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by_name = models.CharField(max_length=200, blank=True)
    applied = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                "group", condition=models.Q(ended_at__isnull=True), name="raise_one_waiting_per_group"
            )
        ]

    def __str__(self) -> str:
        return f"{self.group} to {AutomationLevel(self.new_level).name}"

    @property
    def label(self) -> str:
        return LEVEL_LABELS[AutomationLevel(self.new_level)]

    @property
    def _orphaned(self) -> str:
        return f"{self.requested_by_name}, who asked for it, is no admin any more."

    @classmethod
    def to_end(cls) -> "models.QuerySet[LevelRaise]":
        """Those whose delay is over, and those that no admin asks for any more."""
        over = models.Q(effective_at__lte=Now()) | ~models.Q(requested_by__in=admins())
        return cls.objects.filter(over, ended_at__isnull=True)

    @classmethod
    def request(cls, group: DeviceGroup, new: AutomationLevel, *, by: Actor, comment: str = "") -> Self:
        waiting = cls.objects.create(
            group=group,
            old_level=group.level,
            new_level=new,
            requested_by_id=by.user_id,
            requested_by_name=by.name,
            effective_at=Now() + timedelta(hours=Safeguards.current().raise_delay_hours),
        )
        waiting.refresh_from_db()
        group.record(
            Kind.GROUP_LEVEL_RAISE_REQUESTED,
            by=by,
            before={"level": group.automation.name},
            after={"level": new.name, "effective_at": waiting.effective_at.isoformat()},
            comment=comment,
        )
        notify_admins(
            "level_raise",
            title=f"{by.name} asked to raise {group.name} to {LEVEL_LABELS[new]}:"
            f" it takes effect at {waiting.effective_at:%b %d, %H:%M} UTC unless somebody cancels it",
            url=f"/settings/groups/{group.pk}",
            severity=Severity.WARNING,
        )
        return waiting

    def confirm(self, *, by: Actor) -> None:
        """A second admin puts it in force now. Raises LevelError."""
        if by.user_id is None or by.user_id == self.requested_by_id:
            raise LevelError("same_person", "A raise is confirmed by another admin than the one who asked.")
        self._apply(by=by)

    def apply_when_due(self, *, by: Actor) -> bool:
        """Put it in force once its delay is over, or drop it; for housekeeping. Returns whether it has ended."""
        try:
            with fence.exclusive():
                locked = self._lock()
                if not may_ask(locked.requested_by_id):
                    locked.end(by=by, cancelled=True, why=locked._orphaned)
                    return True
            self._apply(by=by, due_only=True)
        except LevelError:
            return False
        return True

    def cancel(self, *, by: Actor) -> None:
        """Any admin may. Raises LevelError if it has ended meanwhile."""
        with fence.exclusive():
            _require_admin(by)
            self._lock().end(by=by, cancelled=True)

    def end(self, *, by: Actor, cancelled: bool, why: str = "") -> None:
        self.ended_at = Now()
        self.ended_by_name = by.name
        self.applied = not cancelled
        self.save(update_fields=["ended_at", "ended_by_name", "applied"])
        if cancelled:
            self.group.record(
                Kind.GROUP_RAISE_CANCELLED,
                by=by,
                before={"level": AutomationLevel(self.new_level).name},
                after={"level": AutomationLevel(self.old_level).name},
                comment=why,
            )
            told = f"{by.name} cancelled the raise of {self.group.name} to {self.label}"
            self._tell(f"{told}: {why}" if why else told)

    def _lock(self, *, due_only: bool = False) -> "LevelRaise":
        found = LevelRaise.objects.select_for_update().filter(pk=self.pk, ended_at__isnull=True)
        if due_only:
            found = found.filter(effective_at__lte=Now())
        locked = found.first()
        if locked is None:
            raise LevelError("ended", "This raise was already applied or cancelled.")
        return locked

    def _apply(self, *, by: Actor, due_only: bool = False) -> None:
        with fence.exclusive():
            _require_admin(by)
            _require_proof(by)
            locked = self._lock(due_only=due_only)
            if not may_ask(locked.requested_by_id):
                raise LevelError("author", f"{locked._orphaned} Ask for it again.")
            group = DeviceGroup.objects.select_for_update().get(pk=locked.group_id)
            group._require_cooled()
            locked.end(by=by, cancelled=False)
            group._set_level(AutomationLevel(locked.new_level), by=by, kind=Kind.GROUP_LEVEL_RAISED)
            locked._tell(f"{group.name} is at {locked.label} now; {locked.requested_by_name} asked for it")

    def _tell(self, title: str) -> None:
        url = f"/settings/groups/{self.group_id}"
        notify_admins("level_raise", title=title, url=url, severity=Severity.WARNING)
