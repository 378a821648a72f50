"""Text that somebody wants out of the log, until another person agrees or not (docs/adr/0029)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.models import RoleGrant
from actioncenter.audit import canonical, log, redacted, redactions, sealing, seals, verify
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Redaction
from actioncenter.audit.redactions import RedactionText
from actioncenter.audit.verify_redactions import STREAM
from actioncenter.auditor.enums import RedactionState
from actioncenter.settings.enums import Role

PROOF_SECONDS: Final = 600
LONGEST: Final = 2000
"""Of a reason, in characters."""
STEPS: Final[Mapping[Kind, tuple[RedactionState | None, RedactionState]]] = {
    Kind.AUDIT_REDACTION_REQUESTED: (None, RedactionState.WAITING),
    Kind.AUDIT_REDACTED: (RedactionState.WAITING, RedactionState.APPROVED),
    Kind.AUDIT_REDACTION_REJECTED: (RedactionState.WAITING, RedactionState.REJECTED),
}
"""What each event of it leads from, and to."""


class RedactionError(Exception):
    """Nothing was done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RedactionRequest(models.Model):
    """One person asks for it, another one decides. What the log says of it counts; this row is what is open."""

    event = models.BigIntegerField()
    fields = models.JSONField(default=list)
    """Such as `detail.comment`."""
    sha256 = models.TextField()
    """Of the text that would be left (audit/redactions.py)."""
    reason = models.TextField()
    asked = models.BigIntegerField(null=True)
    """The event that tells of the request."""
    state = models.PositiveSmallIntegerField(default=RedactionState.WAITING)
    requested_by = models.TextField()
    requested_by_name = models.TextField()
    requested_at = models.DateTimeField(db_default=Now())
    decided_by_name = models.TextField(blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["event"], name="auditor_one_redaction_open", condition=Q(state=RedactionState.WAITING)
            )
        ]

    def __str__(self) -> str:
        return f"Redaction {self.pk} of event {self.event}"

    @classmethod
    def open(cls) -> "models.QuerySet[RedactionRequest]":
        return cls.objects.filter(state=RedactionState.WAITING).order_by("pk")

    @classmethod
    def request(cls, number: int, fields: Sequence[str], *, by: Actor, reason: str) -> Self:
        """Ask for it. Raises RedactionError."""
        with fence.exclusive():
            _check_right(by)
            said = _checked(reason)
            left = canonical.render(_left(_sealed(number), fields))
            if cls.open().filter(event=number).exists():
                raise RedactionError("open", f"A redaction of event {number} waits for a decision already.")
            row = cls.objects.create(
                event=number, fields=[*fields], sha256=redactions.hash_of(left), reason=said,
                requested_by=by.ref, requested_by_name=by.name,
            )  # fmt: skip
            event = row._tell(Kind.AUDIT_REDACTION_REQUESTED, by=by, comment=said, hash=row.sha256)
            cls.objects.filter(pk=row.pk).update(asked=event.pk)
        row.refresh_from_db()
        return row

    def approve(self, *, by: Actor) -> Redaction:
        """Another person agrees, and the text is gone. As the owner of the tables. Raises RedactionError."""
        with fence.exclusive():
            _check_right(by)
            asked = self._as_asked()
            if by.ref == asked.actor:
                raise RedactionError("second_person", "Whoever asked for a redaction can't approve it too.")
            event = _sealed(self.event)
            values = _left(event, self.fields)
            text = canonical.render(values)
            if redactions.hash_of(text) != (asked.detail or {}).get("hash"):
                raise RedactionError("changed", "The event is another one than when this was asked for.")
            self._decide(RedactionState.APPROVED, by=by)
            row = redacted.write(self._text(event, text, asked, by=by), values, text)
            self._tell(Kind.AUDIT_REDACTED, by=by, digest=row.digest, requested_by=asked.actor_name)
            columns = {name: values[name] for name in redactions.TAKEN}
            Event.objects.filter(pk=event.pk).update(**columns, canonical=text)
        return row

    def reject(self, *, by: Actor, reason: str) -> None:
        """The text stays. Whoever asked may also do that. Raises RedactionError."""
        with fence.exclusive():
            _check_right(by)
            self._decide(RedactionState.REJECTED, by=by)
            self._tell(Kind.AUDIT_REDACTION_REJECTED, by=by, comment=_checked(reason))

    def _decide(self, state: RedactionState, *, by: Actor) -> None:
        waiting = RedactionRequest.open().filter(pk=self.pk)
        if not waiting.update(state=state, decided_by_name=by.name, decided_at=Now()):
            raise RedactionError("decided", f"{self} was decided already.")

    def _as_asked(self) -> Event:
        """What the log says of the request: a row can be written by whoever holds the database."""
        asked = Event.objects.filter(
            pk=self.asked or 0, stream=STREAM, kind=Kind.AUDIT_REDACTION_REQUESTED
        ).first()
        said: Mapping[str, Any] = (asked and asked.detail) or {}
        if (
            asked is None
            or verify.bad_rows_of([STREAM])
            or self._facts() != {name: said.get(name) for name in self._facts()}
        ):
            raise RedactionError("not_asked", f"The log doesn't tell that somebody asked for this: {self}.")
        return asked

    def _facts(self) -> dict[str, Any]:
        return {"redaction": self.pk, "event": self.event, "fields": self.fields}

    def _tell(self, kind: Kind, *, by: Actor, **more: str) -> Event:
        before, after = ({"state": state.name.lower()} if state else None for state in STEPS[kind])
        return log.record(
            kind, by=by, subject=f"event:{self.event}", stream=STREAM, before=before, after=after,
            detail={**self._facts(), **more},
        )  # fmt: skip

    def _text(self, event: Event, text: str, asked: Event, *, by: Actor) -> RedactionText:
        leaf = redacted.leaf(event.pk, event.chain, event.canonical)
        return RedactionText(
            number=self.pk, at=sealing.Horizon.now().at, event=event.pk, chain=event.chain,
            leaf=leaf or seals.leaf(event.chain, event.canonical).hex(), sha256=redactions.hash_of(text),
            fields=self.fields, request=asked.pk, requested_by=asked.actor, approved_by=by.ref,
        )  # fmt: skip


def _left(event: Event, fields: Sequence[str]) -> dict[str, Any]:
    if not fields:
        raise RedactionError("fields", "Say what is to be taken out.")
    try:
        return redactions.without(canonical.read(event.canonical), fields)
    except redactions.NotRedactable as error:
        raise RedactionError("fields", str(error)) from error


def _sealed(number: int) -> Event:
    """The event, if it is as it was sealed: its leaf is what vouches for it afterwards."""
    event, seal = Event.objects.filter(pk=number).first(), sealing.holding(number)
    if event is None:
        raise RedactionError("unknown", f"There is no event {number}.")
    if seal is None:
        raise RedactionError("unsealed", f"Event {number} isn't sealed yet.")
    said = seals.SealText.read(seal.text)
    leaf = dict(zip(said.ids, said.leaves, strict=True))[number].hex()
    own = seals.leaf(event.chain, event.canonical).hex()
    if leaf not in {own, redacted.leaf(number, event.chain, event.canonical)} or verify.bad_rows_of(
        [event.stream]
    ):
        raise RedactionError("damaged", f"Event {number} or its stream isn't what was written.")
    return event


def _checked(reason: str) -> str:
    said = reason.strip()
    if not said or len(said) > LONGEST:
        raise RedactionError("reason", f"A reason is required, of {LONGEST} characters at most.")
    return said


def _check_right(by: Actor) -> None:
    """An admin, in person. Auditors change nothing, and what somebody with a shell wants isn't somebody's word."""
    if by.user_id is None or Role.ADMIN not in RoleGrant.objects.held_by(by.user_id):
        raise RedactionError("role", "Only an admin asks for a redaction or decides one.")
    if not by.proved_within(PROOF_SECONDS):
        raise RedactionError("reauthenticate", "This needs your password, given within the last 10 minutes.")
