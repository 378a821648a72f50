"""The kill switch and the pause: who pulled what, and who let go of it."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Coalesce, Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import RoleGrant, User
from actioncenter.accounts.notices import no_longer_urgent, notify
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import Role, StopKind, StopScope, StopSource
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved
from actioncenter.settings.models.connectors import ConnectorInstance
from actioncenter.settings.models.groups import DeviceGroup
from actioncenter.settings.models.hosts import Installation
from actioncenter.web.clock import database_now
from actioncenter.web.text import capped, in_plain_text

MAY_STOP: Final = frozenset(Role) - {Role.AUDITOR}
MAY_STOP_SAID: Final = "An auditor looks on; every other role may stop."
PAGE: Final = "/settings/stops"
OTHER_PERSON: Final = "You had a hand in what made this stop, so another admin resumes it."
LONGEST_REASON: Final = 500


class StopError(Exception):
    """A switch that can't be pulled or released; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def stop_file() -> Path:
    """While it exists nothing is sent, whatever the database says; its text is the reason."""
    return Path(settings.DATA_DIR) / "STOP"


def stop_file_reason() -> str | None:
    """The text of the stop file; None when there is none. One that can't be read stops all the same."""
    try:
        return stop_file().read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError:
        return "The stop file can't be read."


def write_stop_file(reason: str, *, by: str = "") -> Path:
    """The way to stop everything that needs no database; names the person, if one did it. Raises OSError."""
    path = stop_file()
    who = f"Stopped by {by} on the page" if by else ""
    text = ": ".join(part for part in (who, reason) if part)
    path.write_text(f"{text}\n", encoding="utf-8", errors="replace")
    return path


class StopQuerySet(models.QuerySet["Stop"]):
    def in_force(self) -> Self:
        return self.filter(lifted_at__isnull=True)


class Stop(models.Model):
    """A pulled switch; in force until lifted. Its number is what runners acknowledge.

    `value` is the connector, group, action type or investigation; None stops everything. A stop of a
    type may be narrowed to what goes through one connector.
    """

    kind = models.PositiveSmallIntegerField(
        choices=[(x.value, x.name) for x in StopKind],
        default=StopKind.STOP.value,
        db_default=StopKind.STOP.value,
    )
    scope = models.PositiveSmallIntegerField(choices=[(x.value, x.name) for x in StopScope])
    value = models.BigIntegerField(null=True, blank=True)
    on_connector = models.BigIntegerField(null=True)
    value_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    source = models.PositiveSmallIntegerField(
        choices=[(x.value, x.name) for x in StopSource],
        default=StopSource.PAGE.value,
        db_default=StopSource.PAGE.value,
    )
    reason = models.CharField(max_length=LONGEST_REASON, blank=True)
    pulled_by_ref = models.CharField(max_length=60, blank=True, default="", db_default="")
    pulled_by_name = models.CharField(max_length=200)
    pulled_at = models.DateTimeField(db_default=Now())
    not_by = models.JSONField(default=list, db_default=[])
    """References of people who had a hand in what made the product stop: somebody else resumes."""
    until = models.DateTimeField(null=True)
    quiet_at = models.DateTimeField(null=True)
    """When nothing that it covers was in flight any more."""
    reminded_at = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by_name = models.CharField(max_length=200, blank=True)

    objects = StopQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["scope"], name="stop_live", condition=models.Q(lifted_at=None))]
        constraints = [
            models.UniqueConstraint(
                "kind",
                "scope",
                Coalesce("value", 0),
                Coalesce("on_connector", 0),
                condition=models.Q(lifted_at=None),
                name="stop_live_once",
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        return f"stop:{self.pk}"

    @property
    def is_pause(self) -> bool:
        return self.kind == StopKind.PAUSE

    @property
    def reach(self) -> tuple[int, int | None, int | None]:
        """What `covered` takes."""
        return self.scope, self.value, self.on_connector

    @property
    def what(self) -> str:
        """What it covers, such as `Group Finance laptops`."""
        scope = StopScope(self.scope)
        return "All execution" if scope == StopScope.ALL else f"{scope.name.capitalize()} {self.value_name}"

    @property
    def title(self) -> str:
        return f"{self.what} is {'paused' if self.is_pause else 'stopped'}"

    @classmethod
    def pull(
        cls, kind: StopKind, scope: StopScope, value: int | None = None, *, by: Actor, reason: str = "",
        source: StopSource = StopSource.PAGE, until: datetime | None = None,
    ) -> "Stop":  # fmt: skip
        """Put it in force, or return the one that is already.

        Whoever pulls it is told that it holds, so one that would have ended earlier is extended. The
        caller has made sure that the person sees the group or investigation. Raises StopError.
        """
        name = _name(scope, value)
        if until is not None and (kind == StopKind.STOP or until <= database_now()):
            raise StopError("until", "Only a pause ends by itself, and only in the future.")
        with fence.exclusive():
            _require(MAY_STOP, by, MAY_STOP_SAID)
            held = (
                cls.objects.in_force().filter(kind=kind, scope=scope, value=value, on_connector=None).first()
            )
            if held is not None:
                held._prolong(until, by=by)
                return held
            return cls._make(
                by, kind=kind, scope=scope, value=value, value_name=name, source=source, until=until,
                reason=_short(reason),
            )  # fmt: skip

    @classmethod
    def pull_by_itself(
        cls, kind: StopKind, scope: StopScope, value: int | None = None, *, by: Actor, reason: str,
        on_connector: int | None = None, not_by: Iterable[str] = (),
    ) -> "Stop":  # fmt: skip
        """The product's own: put it in force in the caller's transaction, or return the one that is.

        The caller is a decider, so it can't hold up the others: what they begin at this very moment goes
        on. It takes the last lock of its transaction. Raises StopError.
        """
        name = _name(scope, value)
        if on_connector is not None:
            name = f"{name} on {_name(StopScope.CONNECTOR, on_connector)}"[:200]
        same = cls.objects.in_force().filter(kind=kind, scope=scope, value=value, on_connector=on_connector)
        with suppress(IntegrityError), transaction.atomic():
            return same.first() or cls._make(
                by, kind=kind, scope=scope, value=value, on_connector=on_connector, value_name=name,
                source=StopSource.SYSTEM, reason=_short(reason), not_by=sorted(not_by),
            )  # fmt: skip
        # Another runner was first.
        return same.get()

    @classmethod
    def _make(cls, by: Actor, **columns: Any) -> "Stop":
        made = cls.objects.create(pulled_by_ref=by.ref, pulled_by_name=by.name, **columns)
        made.refresh_from_db()
        made._record(Kind.SWITCH_PULLED, by=by, after=made._facts())
        severity = Severity.URGENT if made.source == StopSource.SYSTEM else Severity.WARNING
        made._tell("switch.pulled", f"{made.title} by {by.name}", severity)
        return made

    def lift(self, *, by: Actor, comment: str = "") -> bool:
        """Let go of it; what waits passes all gates anew. False when it was lifted already.

        Raises StopError, with code `file` while the stop file exists, `restored` while a restored database
        isn't accepted, `other_person` for somebody who had a hand in what made the product stop, and
        `reauthenticate` for a person whose password is too long ago.
        """
        with fence.exclusive():
            _require({Role.ADMIN}, by, "Only an admin resumes.")
            if stop_file_reason() is not None:
                raise StopError("file", f"The file {stop_file()} stops everything. Remove it first.")
            now = type(self).objects.in_force().select_for_update().filter(pk=self.pk).first()
            if now is None:
                self.refresh_from_db()
                return False
            if now.scope == StopScope.ALL and Installation.objects.filter(held_at__isnull=False).exists():
                raise StopError(
                    "restored", "The database was restored. Accept that first, on the health page."
                )
            if by.ref in now.not_by:
                raise StopError("other_person", OTHER_PERSON)
            if not has_proved(by):
                raise StopError("reauthenticate", PROOF_NEEDED)
            before = now._facts()
            now.lifted_at, now.lifted_by_name = Now(), by.name
            now.save(update_fields=["lifted_at", "lifted_by_name"])
            now._record(Kind.SWITCH_RELEASED, by=by, before=before, comment=comment)
            no_longer_urgent("switch.pulled", now._params)
            now._tell(
                "switch.released", f"{now.what} was resumed by {by.name}", Severity.WARNING, said=comment
            )
        self.refresh_from_db()
        return True

    def explain(self, reason: str, *, by: Actor) -> None:
        """Say why, after the fact: pulling asks nothing. Whoever pulled it, or an admin. Raises StopError."""
        reason = _short(reason)
        if not reason:
            raise StopError("reason", "Say why.")
        with fence.exclusive():
            if by.ref != self.pulled_by_ref:
                _require({Role.ADMIN}, by, "Whoever pulled it says why, or an admin.")
            _require(MAY_STOP, by, "An auditor looks on.")
            now = type(self).objects.in_force().select_for_update().filter(pk=self.pk).first()
            if now is None:
                raise StopError("lifted", "It was lifted meanwhile.")
            before, now.reason = now.reason, reason
            now.save(update_fields=["reason"])
            now._record(Kind.SWITCH_EXPLAINED, by=by, before={"reason": before}, after={"reason": reason})
        self.reason = reason

    def remind(self, more: str = "") -> None:
        """Tell people again that it is still in force, and what else there is to say; the caller says how often."""
        title = f"{self.title} since {self.pulled_at:%Y-%m-%d %H:%M} UTC{more and f', {more}'}"
        self._tell("switch.reminder", title, Severity.WARNING)
        type(self).objects.filter(pk=self.pk).update(reminded_at=Now())

    def _prolong(self, until: datetime | None, *, by: Actor) -> None:
        if self.until is None or (until is not None and until <= self.until):
            return
        before, self.until = self._facts(), until
        self.save(update_fields=["until"])
        self._record(Kind.SWITCH_PULLED, by=by, before=before, after=self._facts())

    def _facts(self) -> dict[str, Any]:
        return {
            "kind": StopKind(self.kind).name.lower(),
            "scope": StopScope(self.scope).name.lower(),
            "value": self.value,
            "on_connector": self.on_connector,
            "source": StopSource(self.source).name.lower(),
            "reason": self.reason,
            "until": self.until.isoformat() if self.until else None,
        }

    def _record(
        self, kind: Kind, *, by: Actor, before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None, comment: str = "",
    ) -> None:  # fmt: skip
        log.record(
            kind, by=by, subject=self.ref, subject_name=self.what, before=before, after=after,
            detail={"comment": _short(comment)} if comment else None,
            group_id=self.value if self.scope == StopScope.GROUP else None,
        )  # fmt: skip

    def _tell(self, kind: str, title: str, severity: Severity, *, said: str | None = None) -> None:
        """`said` is what whoever did it wrote; by default the reason for the stop."""
        said = self.reason if said is None else _short(said)
        title = in_plain_text(f"{title}: {said}" if said else title)
        notify(self._concerned(), kind, title=title, params=self._params, url=PAGE, severity=severity)

    @property
    def _params(self) -> dict[str, int]:
        return {"stop": self.pk}

    def _concerned(self) -> "models.QuerySet[User]":
        """Admins, and who may decide and sees what is covered."""
        grants = RoleGrant.objects.in_force()
        admins = models.Q(pk__in=grants.filter(role=Role.ADMIN).values("user_id"))
        others = models.Q(pk__in=grants.filter(role__in=MAY_STOP).values("user_id"))
        if self.scope == StopScope.INVESTIGATION:
            return User.objects.filter(admins)
        group = DeviceGroup.objects.filter(pk=self.value or 0, access__isnull=True)
        if self.scope == StopScope.GROUP and not group.exists():
            others &= models.Q(groups__device_groups=self.value)
        return User.objects.filter(admins | others).distinct()


def _require(roles: "frozenset[Role] | set[Role]", by: Actor, message: str) -> None:
    """A person must hold one now, inside the fence; the product's own parts and commands may."""
    if by.user_id is not None and RoleGrant.objects.held_by(by.user_id).isdisjoint(roles):
        raise StopError("role", message)


def _name(scope: StopScope, value: int | None) -> str:
    """How the thing is called now; copied, because it may be renamed. Raises StopError."""
    if (scope == StopScope.ALL) != (value is None):
        raise StopError("value", "Say what to stop.")
    match scope:
        case StopScope.CONNECTOR:
            name = ConnectorInstance.objects.filter(pk=value or 0).values_list("name", flat=True).first()
        case StopScope.GROUP:
            name = DeviceGroup.objects.filter(pk=value or 0).values_list("name", flat=True).first()
        case StopScope.TYPE:
            name = CATALOGUE[ActionType(value)].label if value in set(ActionType) else None
        case StopScope.INVESTIGATION:
            name = f"{value}"
        case StopScope.ALL:
            name = ""
    if name is None:
        raise StopError("unknown", f"There is no such {scope.name.lower()}.")
    return capped(name, 200)


def _short(text: str) -> str:
    """One line that every database takes: it may come from a file or a command line."""
    known = text.encode("utf-8", "replace").decode().replace("\0", "")
    return capped(" ".join(known.split()), LONGEST_REASON)
