"""Searches of mail: a person asks, a runner answers, and what was found is kept for a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now

from actioncenter import vault
from actioncenter.actions import dispatch
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, JobKind, JobState
from actioncenter.actions.models.conflicts import Invalid
from actioncenter.actions.models.jobs import ConnectorJob
from actioncenter.actions.permissions import PROPOSERS, NotVisible, Refused, Verb, fresh_rights
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import ConnectorInstance
from investigations.models.messages import key_field, key_index

MOST_HITS: Final = 200_000
"""Of one search: as many as one action may touch (domain §9.2)."""
MOST_OPEN: Final = 3
"""Searches of one person that are still being answered."""
KEPT: Final = timedelta(days=7)
AT_ONCE: Final = 5_000


class MailSearch(models.Model):
    """What was asked for. How far its answer has come, its jobs say: one for each page of each connector."""

    criteria = models.JSONField(default=dict)
    """As connectors read them: `sender`, `mailbox`, `subject_part`, `url` …, `since` and `until`."""
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_by_name = models.CharField(max_length=200)
    asked_at = models.DateTimeField(db_default=Now())
    area = models.PositiveSmallIntegerField(default=Area.EMAIL)
    group = models.ForeignKey("settings.DeviceGroup", null=True, on_delete=models.SET_NULL, related_name="+")
    """Never set, as mail lies in no device group; here so that scope is asked as of every other table."""

    class Meta:
        indexes: ClassVar = [models.Index("asked_at", name="mail_search_asked")]

    def __str__(self) -> str:
        return f"search {self.pk}"

    @classmethod
    def ask(cls, criteria: Mapping[str, Any], *, by: Actor) -> "MailSearch":
        """Have the runner look in every mailbox that a connector reaches. Raises Refused, NotVisible, Invalid."""
        with transaction.atomic():
            rights = fresh_rights(by)
            if Area.EMAIL not in rights.scope.areas:
                raise NotVisible
            if not rights.roles & PROPOSERS:
                raise Refused("role", "Searching mail needs a role that works on actions.")
            instances = searchable()
            if not instances:
                raise Invalid("connector", "No connector that is switched on reaches any mailbox.")
            if cls.unanswered().filter(asked_by=by.user_id).count() >= MOST_OPEN:
                raise Invalid(
                    "pace", f"{MOST_OPEN} searches of yours are still being answered. Wait for one of them."
                )
            made = cls.objects.create(criteria=dict(criteria), asked_by_id=by.user_id, asked_by_name=by.name)
            ConnectorJob.objects.bulk_create(made.job(instance) for instance in instances)
            detail = {"criteria": made.criteria, "connectors": [instance.name for instance in instances]}
            log.record(
                Kind.SEARCH_ASKED, by=by, subject=f"search:{made.pk}", subject_name=str(made), area=made.area,
                detail=detail,
            )  # fmt: skip
            transaction.on_commit(dispatch.wake, robust=True)
        return made

    def job(self, instance: ConnectorInstance, cursor: dict[str, Any] | None = None) -> ConnectorJob:
        """The next page of one connector, not saved."""
        return ConnectorJob(
            kind=JobKind.SEARCH,
            instance=instance,
            search=self,
            request={"criteria": self.criteria, "cursor": cursor},
            requested_by_name=self.asked_by_name,
            area=self.area,
        )

    @classmethod
    def unanswered(cls) -> "models.QuerySet[MailSearch]":
        return cls.objects.filter(jobs__kind=JobKind.SEARCH, jobs__state__lte=JobState.RUNNING).distinct()

    @classmethod
    def past_keeping(cls) -> "models.QuerySet[MailSearch]":
        return cls.objects.filter(asked_at__lt=Now() - KEPT)

    @classmethod
    def forget(cls) -> int:
        """Of the oldest that is past keeping as much as one transaction should; returns how many rows."""
        oldest = cls.past_keeping().order_by("asked_at").first()
        if oldest is None:
            return 0
        hits = list(oldest.hits.values_list("pk", flat=True)[:AT_ONCE])
        if hits:
            return MailHit.objects.filter(pk__in=hits).delete()[0]
        return oldest.delete()[0]


def searchable() -> list[ConnectorInstance]:
    """Those switched on that reach the mail of everybody: whoever can take a message out of it can look there."""
    code = CATALOGUE[ActionType.SOFT_DELETE_EMAIL].code
    rows = ConnectorInstance.objects.filter(enabled=True, bindings__tenant=True).distinct()
    return [
        row
        for row in rows.prefetch_related("bindings")
        if not any(
            (binding.capabilities.get(code) or {}).get("support") == "unsupported"
            for binding in row.bindings.all()
            if binding.tenant
        )
    ]


class MailHit(models.Model):
    """One message in one mailbox, as a connector described it. `stable_id` names it wherever it is moved."""

    search = models.ForeignKey(MailSearch, on_delete=models.CASCADE, related_name="hits")
    instance = models.ForeignKey(ConnectorInstance, on_delete=models.CASCADE, related_name="+")
    mailbox = models.CharField(max_length=320)
    stable_id = models.CharField(max_length=255)
    message_id = models.CharField(max_length=1000, blank=True)
    message_key = key_field()
    folder = models.CharField(max_length=500, blank=True)
    sender = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=2000, blank=True)
    received = models.DateTimeField(null=True)
    size = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("search", "instance", "mailbox", "stable_id", name="mail_hit_once")
        ]
        indexes: ClassVar = [key_index("mail_hit_message")]

    def __str__(self) -> str:
        return self.subject

    def open(self, *, by: Actor) -> ConnectorJob:
        """Have the runner bring it to this person, whoever has seen it before. Raises NotVisible, Refused.

        What a message says is shown to those who may take action on mail, each on asking for it.
        """
        with transaction.atomic():
            rights = fresh_rights(by)
            rights.require(Verb.RUN, OfMail(ActionType.QUARANTINE_EMAIL))
            # Who asks twice at once waits here for the first.
            MailSearch.objects.select_for_update(no_key=True).get(pk=self.search_id)
            before = self.opened_by(by.user_id).filter(state__lte=JobState.DONE).first()
            if before is not None:
                return before
            made = ConnectorJob.objects.create(
                kind=JobKind.MESSAGE,
                instance_id=self.instance_id,
                search_id=self.search_id,
                request={"hit": self.pk, "by": by.user_id},
                requested_by_name=by.name,
                area=Area.EMAIL,
            )
            detail = {"mailbox": self.mailbox, "message_id": self.message_id, "stable_id": self.stable_id}
            log.record(
                Kind.SEARCH_MESSAGE_OPENED, by=by, subject=f"search:{self.search_id}",
                subject_name=f"search {self.search_id}", area=Area.EMAIL, detail=detail,
            )  # fmt: skip
            transaction.on_commit(dispatch.wake, robust=True)
        return made

    def opened_by(self, user_id: int | None) -> "models.QuerySet[ConnectorJob]":
        """The newest first."""
        rows = ConnectorJob.objects.filter(kind=JobKind.MESSAGE, search=self.search_id)
        return rows.filter(request__hit=self.pk, request__by=user_id).order_by("-pk")


@dataclass(frozen=True, slots=True)
class OfMail:
    """What rights depend on: mail lies in no device group."""

    type: int
    area: int = Area.EMAIL
    group_id: int | None = None


def contents(job: ConnectorJob) -> dict[str, Any] | None:
    """What a message says, once a runner has brought it; None before."""
    sealed = job.result.get("sealed")
    found: dict[str, Any] | None = vault.unseal(sealed.encode()) if sealed else None
    return found
