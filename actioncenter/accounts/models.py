"""People, the roles they hold, and what they are told."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils.http import url_has_allowed_host_and_scheme

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity, Theme
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.settings.enums import Role
from actioncenter.web.statements import Compiled, compiled, given, kept, rows_of


class PeopleManager(UserManager["User"]):
    def enrol(
        self,
        username: str,
        *,
        by: Actor,
        password: str | None = None,
        roles: Iterable[Role] = (),
        **fields: Any,
    ) -> "User":
        """Create a person with roles. Without a password nobody can sign in as them."""
        with fence.exclusive():
            user = self.create_user(username, password=password, **fields)
            log.record(
                Kind.USER_CREATED,
                by=by,
                subject=user.ref,
                subject_name=user.shown_name,
                after={"username": user.username, "email": user.email},
            )
            for role in roles:
                user.grant(role, by=by)
        return user


class User(AbstractUser):
    """A person. Groups (Django's) say whose device groups they may see and decide on."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    display_name = models.CharField(max_length=150, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    """IANA name; empty shows UTC."""
    notices_by_mail = models.BooleanField(default=True, db_default=True)
    shortcuts_on = models.BooleanField(default=True, db_default=True)
    shortcuts = models.JSONField(default=dict, db_default={}, blank=True)
    """Keys by command, of those this person changed (see `shortcuts.SHORTCUTS`)."""
    lists = models.JSONField(default=dict, db_default={}, blank=True)
    """How they want Pending and History, where it isn't as usual (see `actions.columns.Layout`)."""
    theme = models.PositiveSmallIntegerField(
        choices=[(theme.value, theme.name.capitalize()) for theme in Theme], default=Theme.SYSTEM.value
    )

    objects: ClassVar[PeopleManager] = PeopleManager()

    def get_full_name(self) -> str:
        return self.shown_name

    def get_short_name(self) -> str:
        return self.shown_name

    @property
    def ref(self) -> str:
        """How the audit log calls this person."""
        return f"user:{self.pk}"

    @property
    def shown_name(self) -> str:
        return self.display_name or self.username

    @property
    def initials(self) -> str:
        """One or two capital letters for an avatar."""
        words = [word for word in self.shown_name.replace(".", " ").split() if word[0].isalnum()]
        letters = [word[0] for word in (words[:1] + words[1:][-1:])]
        return unicodedata.normalize("NFC", "".join(letters)).upper() or "?"

    @property
    def zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.time_zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            # A name that this machine's zone data doesn't know (any more).
            return ZoneInfo("UTC")

    @cached_property
    def roles(self) -> frozenset[Role]:
        """What this person may be now, read once per object. A deactivated person has none.

        Inside `fence.decider` read `RoleGrant.objects.held_by(user.pk)`, which is never stale.
        """
        return RoleGrant.objects.held_by(self.pk)

    def has_role(self, *any_of: Role) -> bool:
        return not self.roles.isdisjoint(any_of)

    def actor(self, via: Via = Via.SESSION, request_id: str = "", *, proved_at: float | None = None) -> Actor:
        """This person acting. Without `proved_at` nobody has shown lately that it is really them."""
        return Actor(self.ref, self.shown_name, via, request_id, self.pk, proved_at)

    def grant(self, role: Role, *, by: Actor, ends_at: datetime | None = None) -> None:
        """Give a role, until `ends_at` if given. Nothing happens when it is held just so."""
        with fence.exclusive():
            held, before = self.grants.filter(role=role).first(), self._granted()
            if held is not None and held.ends_at == ends_at:
                return
            RoleGrant.objects.update_or_create(
                user=self,
                role=role.value,
                defaults={
                    "granted_by_id": by.user_id,
                    "granted_by_name": by.name,
                    "granted_at": Now(),
                    "ends_at": ends_at,
                },
            )
            self._record_role(Kind.ROLE_GRANTED, role, before, by=by, ends_at=ends_at)
        self.__dict__.pop("roles", None)

    def revoke(self, role: Role, *, by: Actor) -> None:
        """Take a role away. Nothing happens when it isn't held."""
        with fence.exclusive():
            before = self._granted()
            deleted, _ = self.grants.filter(role=role).delete()
            if not deleted:
                return
            self._record_role(Kind.ROLE_REVOKED, role, before, by=by)
        self.__dict__.pop("roles", None)

    def deactivate(self, *, by: Actor) -> None:
        """End every right and session of this person; what they did keeps their name."""
        self._set_active(False, Kind.USER_DEACTIVATED, by=by)

    def reactivate(self, *, by: Actor) -> None:
        self._set_active(True, Kind.USER_REACTIVATED, by=by)

    def choose_mail(self, wanted: bool, *, by: Actor) -> None:
        """Whether notices are mailed to this person too."""
        self._choose(by=by, notices_by_mail=wanted)

    def choose_shortcuts(self, *, on: bool, own: Mapping[str, str] | None = None, by: Actor) -> None:
        """Whether single keys do anything for this person and, if given, which differ from the usual."""
        self._choose(by=by, shortcuts_on=on, **({} if own is None else {"shortcuts": dict(own)}))

    def choose_lists(self, lists: Mapping[str, Any], *, by: Actor) -> None:
        """Which columns Pending and History have, their order and widths, and how dense the rows are."""
        self._choose(by=by, lists=dict(lists))

    def _choose(self, *, by: Actor, **wanted: Any) -> None:
        """Keep what somebody prefers. Whoever saves last is right: nobody else depends on it."""
        changed = {name: value for name, value in wanted.items() if getattr(self, name) != value}
        if not changed:
            return
        with transaction.atomic():
            User.objects.filter(pk=self.pk).update(**changed)
            self._record_change(by, before={name: getattr(self, name) for name in changed}, after=changed)
        for name, value in changed.items():
            setattr(self, name, value)

    def choose_theme(self, theme: Theme, *, by: Actor) -> None:
        before = Theme(self.theme)
        with transaction.atomic():
            changed = User.objects.filter(pk=self.pk).exclude(theme=theme.value).update(theme=theme.value)
            if changed:
                self._record_change(
                    by, before={"theme": before.name.lower()}, after={"theme": theme.name.lower()}
                )
        self.theme = theme.value

    def change_password(self, password: str, *, by: Actor) -> None:
        """It ends every session of this person, because each is bound to the password's hash."""
        with fence.exclusive():
            self.set_password(password)
            User.objects.filter(pk=self.pk).update(password=self.password)
            self._record_change(by, before={"password": "kept"}, after={"password": "changed"})

    def _set_active(self, active: bool, kind: Kind, *, by: Actor) -> None:
        with fence.exclusive():
            changed = User.objects.filter(pk=self.pk, is_active=not active).update(is_active=active)
            if changed:
                log.record(
                    kind,
                    by=by,
                    subject=self.ref,
                    subject_name=self.shown_name,
                    before={"is_active": not active},
                    after={"is_active": active},
                )
        self.is_active = active
        self.__dict__.pop("roles", None)

    def _record_change(
        self, by: Actor, *, before: dict[str, object] | None, after: dict[str, object]
    ) -> None:
        log.record(
            Kind.USER_CHANGED, by=by, subject=self.ref, subject_name=self.shown_name, before=before, after=after
        )  # fmt: skip

    def _granted(self) -> dict[str, object]:
        """Every role, with the moment at which it ends."""
        rows = self.grants.order_by("role").values_list("role", "ends_at")
        return {"roles": {Role(role).name.lower(): ends_at and ends_at.isoformat() for role, ends_at in rows}}

    def _record_role(
        self, kind: Kind, role: Role, before: dict[str, object], *, by: Actor, ends_at: datetime | None = None
    ) -> None:
        detail: dict[str, object] = {"role": role.name.lower()}
        if ends_at is not None:
            detail["ends_at"] = ends_at.isoformat()
        log.record(
            kind, by=by, subject=self.ref, subject_name=self.shown_name, before=before, after=self._granted(),
            detail=detail,
        )  # fmt: skip


class RoleGrantQuerySet(models.QuerySet["RoleGrant"]):
    def in_force(self) -> Self:
        return self.filter(
            models.Q(ends_at=None) | models.Q(ends_at__gt=Now()),
            user__is_active=True,
        )

    def held_by(self, user_id: int) -> frozenset[Role]:
        """One statement that every page and poll runs, so it is compiled once."""
        return frozenset(Role(role) for (role,) in rows_of(_held(), [user_id]))


@kept
def _held() -> Compiled | None:
    return compiled(RoleGrant.objects.in_force().filter(user_id=given(0)).values("role"))


class RoleGrant(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="grants")
    role = models.PositiveSmallIntegerField()
    granted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    granted_by_name = models.CharField(max_length=200)
    granted_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField(null=True)

    objects = RoleGrantQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "role"], name="accounts_role_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]), name="accounts_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{Role(self.role).name.lower()} for user:{self.user_id}"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unread(self) -> Self:
        return self.filter(read_at=None)

    def newest_first(self) -> Self:
        return self.order_by("-id")

    def due_by_mail(self) -> Self:
        return self.filter(mail_after__lte=Now())

    def undelivered(self) -> Self:
        """Mail was tried and given up."""
        return self.filter(mail_tries__gt=0, mail_after=None, mailed_at=None).exclude(mail_error="")

    def mark_read(self) -> int:
        return self.unread().update(read_at=Now())


class Notice(models.Model):
    """Something one person should know. Made by `notices.notify`."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=60)
    """Dotted, such as `group.level_raise_requested`."""
    severity = models.PositiveSmallIntegerField(
        choices=[(severity.value, severity.name.capitalize()) for severity in Severity],
        default=Severity.INFO.value,
    )
    title = models.CharField(max_length=300)
    params = models.JSONField(default=dict, blank=True)
    """Facts. `lines`, a list of texts, stands below the title on the page and in mail."""
    url = models.CharField(max_length=500, blank=True)
    """Path inside the product."""
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True)
    mail_after = models.DateTimeField(null=True)
    """When it is (tried again) to be mailed; None when it was, or never will be."""
    mailed_at = models.DateTimeField(null=True)
    mail_tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    mail_error = models.CharField(max_length=300, blank=True, default="", db_default="")

    objects = NoticeQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="accounts_notice_newest"),
            models.Index(fields=["user"], condition=models.Q(read_at=None), name="accounts_notice_unread"),
            models.Index(
                fields=["mail_after"],
                condition=models.Q(mail_after__isnull=False),
                name="accounts_notice_to_mail",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def path(self) -> str:
        """Where it leads, if that lies inside the product."""
        ours = self.url.startswith("/") and url_has_allowed_host_and_scheme(self.url, None)
        return self.url if ours else ""

    @property
    def lines(self) -> list[str]:
        """What it says below its title."""
        lines = self.params.get("lines") if isinstance(self.params, dict) else None
        return [str(line) for line in lines] if isinstance(lines, list) else []


class Answer(models.Model):
    """What one person was answered under one idempotency key; see `answers.once`.

    `outcome` is written in the transaction of the effect, the answer itself after it.
    """

    actor = models.CharField(max_length=60)
    key = models.CharField(max_length=100)
    request_hash = models.CharField(max_length=64)
    outcome = models.JSONField(default=dict)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["actor", "key"], name="accounts_answer_once")
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="accounts_answer_age")]

    def __str__(self) -> str:
        return f"{self.actor} {self.key[:8]}"
