"""Lists that somebody has given a name: for themselves, or for everybody of a role."""

from typing import Any, ClassVar, Final, Self

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now

from actioncenter.actions.models.conflicts import Invalid
from actioncenter.actions.permissions import PROPOSERS, NotVisible, Refused, fresh_rights
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.enums import Role

LONGEST_NAME: Final = 60
LONGEST_QUERY: Final = 2000
MOST: Final = 30
"""Views of one person."""


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def shown_to(self, user_id: int, roles: frozenset[Role]) -> Self:
        """One's own first, then what is shared with a role that one has. What they show is everybody's own scope."""
        seen = self.filter(Q(owner=user_id) | Q(shared_with__in=sorted(roles)))
        mine = Case(When(owner=user_id, then=Value(0)), default=Value(1))
        return seen.annotate(mine=mine).order_by("mine", "name", "pk")

    def kept_by(self, user_id: int, roles: frozenset[Role]) -> Self:
        """For the page that keeps order: an admin has every shared one too, those of who has left first."""
        if Role.ADMIN not in roles:
            return self.shown_to(user_id, roles)
        seen = self.filter(Q(owner=user_id) | Q(shared_with__isnull=False))
        place = Case(
            When(owner=user_id, then=Value(0)), When(owner__is_active=False, then=Value(1)), default=Value(2)
        )
        return seen.annotate(place=place).order_by("place", "name", "pk")


class SavedView(models.Model):
    """A name for the address of a list. It holds no rows: whoever opens it sees what they may see."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    owner_name = models.CharField(max_length=200)
    name = models.CharField(max_length=LONGEST_NAME)
    tab = models.CharField(max_length=10)
    query = models.CharField(max_length=LONGEST_QUERY, blank=True)
    shared_with = models.PositiveSmallIntegerField(null=True)
    """A role; null for nobody but the owner."""
    saved_at = models.DateTimeField(db_default=Now())

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("owner", "tab", "name", name="saved_view_named_once"),
        ]
        indexes: ClassVar = [models.Index("shared_with", name="saved_view_shared")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def keep(cls, name: str, *, tab: str, query: str, shared_with: Role | None, by: Actor) -> "SavedView":
        """Raises Invalid (`name`, `query`), Refused."""
        name = _checked(name)
        if len(query) > LONGEST_QUERY:
            raise Invalid("query", "This list has too long an address to be kept.")
        with transaction.atomic():
            rights = fresh_rights(by)
            if shared_with is not None and not rights.roles & PROPOSERS:
                raise Refused("role", "Sharing a view needs a role that works on actions.")
            if cls.objects.filter(owner=by.user_id).count() >= MOST:
                raise Invalid("name", f"You have {MOST} views; delete one first.")
            made = cls._write(name, tab=tab, query=query, shared_with=shared_with, by=by)
            made._record(Kind.VIEW_SAVED, by, after=made._told())
        return made

    @classmethod
    def _write(cls, name: str, *, by: Actor, **fields: Any) -> "SavedView":
        try:
            with transaction.atomic():
                return cls.objects.create(owner_id=by.user_id, owner_name=by.name, name=name, **fields)
        except IntegrityError as error:
            raise Invalid("name", f"You have a view called {name} already.") from error

    def rename(self, name: str, *, by: Actor) -> None:
        """Raises Invalid, NotVisible where it is somebody else's."""
        name = _checked(name)
        with transaction.atomic():
            before = self._own(by)
            try:
                with transaction.atomic():
                    type(self).objects.filter(pk=self.pk, owner=by.user_id).update(name=name)
            except IntegrityError as error:
                raise Invalid("name", f"You have a view called {name} already.") from error
            self._record(Kind.VIEW_RENAMED, by, before={"name": before.name}, after={"name": name})
        self.name = name

    def remove(self, *, by: Actor) -> None:
        """By its owner, a shared one by an admin too.

        Raises NotVisible for everybody else, and where it is gone; Refused.
        """
        with transaction.atomic():
            row = self._removable(by)
            deleted, _ = type(self).objects.filter(pk=row.pk).delete()
            if not deleted:
                raise NotVisible
            detail = None if row.owner_id == by.user_id else {"owner": row.owner_name}
            row._record(Kind.VIEW_REMOVED, by, before=row._told(), detail=detail)

    def _removable(self, by: Actor) -> "SavedView":
        if Role.ADMIN not in fresh_rights(by).roles:
            return self._own(by)
        row = type(self).objects.filter(pk=self.pk).first()
        if row is None or (row.owner_id != by.user_id and row.shared_with is None):
            raise NotVisible
        return row

    def _own(self, by: Actor) -> "SavedView":
        row = type(self).objects.filter(pk=self.pk, owner=by.user_id or 0).first()
        if row is None:
            raise NotVisible
        return row

    def _told(self) -> dict[str, Any]:
        role = Role(self.shared_with).name.lower() if self.shared_with is not None else None
        return {"name": self.name, "tab": self.tab, "query": self.query, "shared_with": role}

    def _record(self, kind: Kind, by: Actor, **more: Any) -> None:
        log.record(kind, by=by, subject=f"view:{self.pk}", subject_name=self.name, **more)


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid("name", f"Give it a name of at most {LONGEST_NAME} visible characters.")
    return name
