"""Connector instances: which systems the product may reach, how fast, and where they apply."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Self

from django.db import models
from django.db.models import F
from django.db.models.functions import Lower, Now

from actioncenter import vault
from actioncenter.accounts import fence
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change
from actioncenter.settings.models.groups import DeviceGroup

MOST_PARALLEL: Final = 1000
MOST_PER_MINUTE: Final = 60_000
LONGEST_NAME: Final = 120
CHANGED: Final = "Somebody changed it since you opened this page."
LAST_PRIORITY: Final = 1000


class PaceError(Exception):
    """A change of how a connector is treated that isn't allowed; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ConnectorInstance(models.Model):
    """`secret` is ciphertext; `priority` 1 is asked first; no groups means every group.

    With `dry_run` nothing is sent through it: what would have happened is read and written down instead.
    """

    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    enabled = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False)
    dry_run = models.BooleanField(default=False)
    priority = models.PositiveIntegerField(default=100)
    max_parallel = models.PositiveSmallIntegerField(default=8, db_default=8)
    """Calls at once, over all runners."""
    per_minute = models.PositiveIntegerField(default=0, db_default=0)
    """Calls begun per minute, over all runners; 0 is no limit."""
    groups = models.ManyToManyField(DeviceGroup, blank=True, related_name="connectors")
    settings = models.JSONField(default=dict)
    secret = models.BinaryField(blank=True, default=b"")
    secret_dates = models.JSONField(default=dict, db_default={})
    """When each part of the secret was set: all that is ever shown of it."""
    revision = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    health = models.JSONField(default=dict)
    health_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["priority", "id"]
        constraints = [models.UniqueConstraint(Lower("name"), name="connector_name_unique")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def add(
        cls, kind: str, name: str, options: Mapping[str, Any], *, by: Actor, simulated: bool = False,
        priority: int = 100, groups: Collection[DeviceGroup] = (), secret: Mapping[str, str] | None = None,
    ) -> Self:  # fmt: skip
        """Make one that is not enabled yet. Raises PaceError, with code `name` for one that is taken."""
        with fence.exclusive():
            _require(by)
            name = cls._free_name(name)
            made = cls.objects.create(
                kind=kind, name=name, simulated=simulated, priority=priority, settings=dict(options)
            )
            made.groups.set(groups)
            made._keep(secret or {})
            after = {"kind": kind, **made._figures(), **_marked(dict.fromkeys(secret or {}, "set"))}
            made._record(Kind.CONNECTOR_ADDED, None, after, by=by)
        return made

    def configure(
        self, *, revision: int, name: str, priority: int, options: Mapping[str, Any],
        groups: Collection[DeviceGroup], secret: Mapping[str, str], by: Actor,
    ) -> bool:  # fmt: skip
        """Change what people set; `secret` names only the parts that are replaced. Returns whether it did.

        What the last check said is forgotten: it was of other settings. Raises PaceError, with code
        `changed` if somebody changed it since the `revision` that was seen.
        """
        with fence.exclusive():
            _require(by)
            mine = type(self).objects.filter(pk=self.pk, revision=revision)
            row = mine.select_for_update().first()
            if row is None:
                raise PaceError("changed", CHANGED)
            name = self._free_name(name, but=self.pk)
            was, now = row._figures(), _told(name, priority, groups, options)
            differing = [key for key in {**was, **now} if was.get(key) != now.get(key)]
            if not differing and not secret:
                return False
            before = {key: was.get(key) for key in differing}
            after = {key: now.get(key) for key in differing}
            before |= _marked({part: row.secret_dates.get(part, "not set") for part in secret})
            after |= _marked(dict.fromkeys(secret, "set anew"))
            mine.update(
                name=name, priority=priority, settings=dict(options), revision=F("revision") + 1, health={},
                health_at=None,
            )  # fmt: skip
            row.groups.set(groups)
            row._keep(secret)
            row._record(Kind.CONNECTOR_CHANGED, before, after, by=by)
        self.refresh_from_db()
        return True

    def rehearse(self, *, on: bool, by: Actor) -> bool:
        """Only say what would be done from now on, or do it again; returns whether that changed anything.

        What a dry run has ended isn't made up for.
        """
        with fence.exclusive():
            _require(by)
            changed = type(self).objects.filter(pk=self.pk, dry_run=not on).update(dry_run=on)
            if changed:
                self._record(Kind.CONNECTOR_CHANGED, {"dry_run": not on}, {"dry_run": on}, by=by)
        self.dry_run = on
        return bool(changed)

    @classmethod
    def reaching(cls) -> "models.QuerySet[Self]":
        """Those that may change real systems."""
        return cls.objects.filter(enabled=True, simulated=False)

    @classmethod
    def _free_name(cls, name: str, but: int = 0) -> str:
        """Raises PaceError with code `name`."""
        name = name.strip()
        if not name or not name.isprintable() or len(name) > LONGEST_NAME:
            raise PaceError("name", f"Give it a name of at most {LONGEST_NAME} characters.")
        if cls.objects.filter(name__iexact=name).exclude(pk=but).exists():
            raise PaceError("name", "There is a connector of this name.")
        return name

    def _figures(self) -> dict[str, Any]:
        return _told(self.name, self.priority, self.groups.all(), self.settings)

    def _keep(self, secret: Mapping[str, str]) -> None:
        """Encrypt these parts beside those that stay."""
        if not secret:
            return
        row = type(self).objects.filter(pk=self.pk)
        old = vault.unseal(bytes(self.secret)) if self.secret else {}
        at = row.annotate(now=Now()).values_list("now", flat=True).get().isoformat(timespec="seconds")
        self.secret_dates = self.secret_dates | dict.fromkeys(secret, at)
        self.secret = vault.seal({**old, **secret})
        row.update(secret=self.secret, secret_dates=self.secret_dates)

    def set_options(self, options: Mapping[str, Any], *, by: Actor) -> None:
        """Change settings; what isn't named stays. Secrets never stand there, so the log may show them."""
        with fence.exclusive():
            _require(by)
            row = type(self).objects.select_for_update().get(pk=self.pk)
            before, after = row.settings, {**row.settings, **options}
            if before != after:
                type(self).objects.filter(pk=self.pk).update(settings=after, revision=F("revision") + 1)
                self._record(Kind.CONNECTOR_CHANGED, before, after, by=by)
        self.settings = after

    def enable(self, *, by: Actor) -> list[str]:
        """Let it be used. Returns the names of the groups whose level that lowered.

        With the first one that reaches real systems, no group goes on at Full that nobody has confirmed (domain
        Q1): that was a level for the simulator. Admins are asked to choose.
        """
        lowered: list[str] = []
        with fence.exclusive():
            _require(by)
            first = not self.reaching().exists()
            if not type(self).objects.filter(pk=self.pk, enabled=False).update(enabled=True):
                return lowered
            self._record(Kind.CONNECTOR_ENABLED, {"enabled": False}, {"enabled": True}, by=by)
            if first and not self.simulated:
                groups = list(DeviceGroup.unconfirmed_at_full())
                lowered = [group.name for group in groups]
                for group in groups:
                    group.hold_back(by=by)
            if lowered:
                notify_admins(
                    "connector.first_real",
                    title=f"{self.name} reaches real systems: confirm the level of {', '.join(lowered)}.",
                    url="/settings/groups",
                )
        self.enabled = True
        return lowered

    def disable(self, *, by: Actor) -> bool:
        """Send nothing through it any more; returns whether it was enabled. What was sent goes on being asked for."""
        with fence.exclusive():
            _require(by)
            changed = type(self).objects.filter(pk=self.pk, enabled=True).update(enabled=False)
            if changed:
                self._record(Kind.CONNECTOR_DISABLED, {"enabled": True}, {"enabled": False}, by=by)
        self.enabled = False
        return bool(changed)

    def lay_aside(self, name: str, *, by: Actor) -> None:
        """Without its secret and under another name, for it is out of use and history points to it."""
        with fence.exclusive():
            _require(by)
            was = {"name": self.name, **_marked(self.secret_dates)}
            now = {"name": name, **_marked(dict.fromkeys(self.secret_dates, "removed"))}
            type(self).objects.filter(pk=self.pk).update(
                name=name, secret=b"", secret_dates={}, revision=F("revision") + 1
            )
            self._record(Kind.CONNECTOR_CHANGED, was, now, by=by)
        self.refresh_from_db()

    def _record(
        self, kind: Kind, before: Mapping[str, Any] | None, after: Mapping[str, Any], *, by: Actor
    ) -> None:
        subject, name = f"connector:{self.pk}", self.name[:300]
        was = None if before is None else dict(before)
        log.record(kind, by=by, subject=subject, subject_name=name, before=was, after=dict(after))

    def set_pace(self, *, max_parallel: int, per_minute: int, by: Actor) -> bool:
        """Limit its calls; returns whether that changed anything. `self` is what the person saw.

        Raises PaceError with code `range`, `role`, `reauthenticate` or `changed`.
        """
        if not 1 <= max_parallel <= MOST_PARALLEL or not 0 <= per_minute <= MOST_PER_MINUTE:
            raise PaceError(
                "range",
                f"At once 1 to {MOST_PARALLEL:,} calls, per minute at most {MOST_PER_MINUTE:,}; 0 is no limit.",
            )
        before = {"max_parallel": self.max_parallel, "per_minute": self.per_minute}
        after = {"max_parallel": max_parallel, "per_minute": per_minute}
        with fence.exclusive():
            _require(by)
            if not type(self).objects.filter(pk=self.pk, **before).update(**after):
                raise PaceError("changed", "Somebody changed it since you opened this page.")
            if before == after:
                return False
            self._record(Kind.CONNECTOR_CHANGED, before, after, by=by)
        self.max_parallel, self.per_minute = max_parallel, per_minute
        return True


def _require(by: Actor) -> None:
    """Raises PaceError with code `role` or `reauthenticate`."""
    if not may_change(by):
        raise PaceError("role", "Only an admin changes how a connector is treated.")
    if not has_proved(by):
        raise PaceError("reauthenticate", PROOF_NEEDED)


def _told(
    name: str, priority: int, groups: Iterable[DeviceGroup], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What people set, as the log shows it; no secret is among it."""
    # The log's canonical text knows no floats.
    plain = {key: str(value) if isinstance(value, float) else value for key, value in options.items()}
    settings = {f"settings.{key}": value for key, value in plain.items()}
    return {"name": name, "priority": priority, "groups": sorted(group.name for group in groups), **settings}


def _marked(parts: Mapping[str, str]) -> dict[str, str]:
    return {f"secret.{part}": said for part, said in parts.items()}
