"""A redaction without its event, with another text, of another row or by one person alone is found and named."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction
from django.test import override_settings

from actioncenter.actions.execution import auditing
from actioncenter.actions.models import Action, Vote
from actioncenter.audit import canonical, reading, redactions, seals
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Redaction
from actioncenter.audit.redactions import RedactionText
from tests import factories
from tests.audit.drafts import seal
from tests.audit.sealers import BOTH
from tests.auditor.aging import archive, unguarded, wrong
from tests.auditor.redacted import redact, told

__all__ = ["archive"]
pytestmark = pytest.mark.usefixtures("archive")
FORGER: Final = b"somebody else's key of 32 bytes."
World = tuple[Event, Redaction]
"""An event as it was, and the redaction of it."""


def world() -> World:
    event = told()
    return event, redact(event)


def change(event: Event, text: str = "", **columns: Any) -> None:
    Event.objects.filter(pk=event.pk).update(canonical=text or event.canonical, **columns)


def rewritten(record: Redaction, key: bytes = b"", **said: Any) -> None:
    text = RedactionText.read(record.text)
    new = RedactionText(
        **{name: said.get(name, getattr(text, name)) for name in RedactionText.__slots__}
    ).render()
    with override_settings(SIGNING_KEY=key or settings.SIGNING_KEY):
        signature, public = seals.sign(settings.SIGNING_KEY, new), seals.public_key(settings.SIGNING_KEY)
    Redaction.objects.filter(pk=record.pk).update(
        text=new, digest=seals.digest(new), signature=signature, key_id=seals.key_id(public), event=said.get("event", text.event)
    )  # fmt: skip


def forged(event: Event, record: Redaction) -> None:
    rewritten(record, FORGER)


def with_another_text(event: Event, record: Redaction) -> None:
    left = Event.objects.get(pk=event.pk)
    detail = {**(left.detail or {}), "comment": "Somebody else."}
    change(event, canonical.render({**canonical.read(left.canonical), "detail": detail}), detail=detail)


def text_put_back(event: Event, record: Redaction) -> None:
    change(event, detail=event.detail)


def text_put_back_without_record(event: Event, record: Redaction) -> None:
    change(event, detail=event.detail)
    Redaction.objects.all().delete()


def record_gone(event: Event, record: Redaction) -> None:
    Redaction.objects.all().delete()


def of_another_row(event: Event, record: Redaction) -> None:
    """The record speaks of the event before it, which is emptied in the same way."""
    other = Event.objects.filter(stream=event.stream, seq=event.seq - 1).get()
    rewritten(record, event=other.pk)


def by_one_person(event: Event, record: Redaction) -> None:
    rewritten(record, approved_by=RedactionText.read(record.text).requested_by)


def approved_by_another(event: Event, record: Redaction) -> None:
    rewritten(record, approved_by="user:99")


def event_not_told(event: Event, record: Redaction) -> None:
    Event.objects.filter(kind=Kind.AUDIT_REDACTED).delete()


def request_not_told(event: Event, record: Redaction) -> None:
    Event.objects.filter(kind=Kind.AUDIT_REDACTION_REQUESTED).delete()


def other_chain_value(event: Event, record: Redaction) -> None:
    Event.objects.filter(pk=event.pk).update(chain="ab" * 32)


def other_leaf(event: Event, record: Redaction) -> None:
    rewritten(record, leaf="ab" * 32)


def column_moved(event: Event, record: Redaction) -> None:
    Redaction.objects.update(subject_name="Another")


def without_anything(event: Event, record: Redaction) -> None:
    """Text taken out of another event, as if that were all there is to it."""
    other = Event.objects.filter(stream=event.stream, seq=event.seq - 1).get()
    values = redactions.without(canonical.read(other.canonical), ["subject_name"])
    change(other, canonical.render(values), subject_name=values["subject_name"])


DAMAGES: Final[dict[Callable[[Event, Redaction], None], str]] = {
    forged: "its key",
    with_another_text: "the event isn't what it left",
    text_put_back: "the event isn't what it left",
    text_put_back_without_record: "the log tells of it, and its record is gone",
    record_gone: "the log tells of it, and its record is gone",
    of_another_row: "no event tells of its approval",
    by_one_person: "it isn't of two people",
    approved_by_another: "no event tells of its approval",
    event_not_told: "no event tells of its approval",
    request_not_told: "nobody asked for it",
    other_chain_value: "the event isn't what it left",
    other_leaf: "an event isn't what was sealed",
    column_moved: "its columns and its text disagree",
    without_anything: "its chain value doesn't follow",
}


@BOTH
def test_each_damage_is_named(shared_database: str, subtests: pytest.Subtests) -> None:
    event, record = world()
    assert wrong() == []
    for damage, said in DAMAGES.items():
        with subtests.test(damage.__name__), transaction.atomic():
            with unguarded():
                damage(event, record)
            found = wrong()
            assert any(said in each for each in found), found
            transaction.set_rollback(True)
    assert wrong() == []


PLANTED: Final = {
    "actioncenter.audit.redacted.fault_of": ({forged, by_one_person, column_moved}, lambda row, trust: ""),
    "actioncenter.audit.verify_redactions._untold": (
        {approved_by_another, event_not_told},
        lambda said, digest: "",
    ),
    "actioncenter.audit.verify_redactions._unasked": ({request_not_told}, lambda said, dropped: ""),
    "actioncenter.audit.verify_redactions._is_otherwise": ({text_put_back}, lambda said: False),
    "actioncenter.audit.verify_redactions._gone": ({text_put_back_without_record}, lambda: iter(())),
}


@pytest.mark.django_db
def test_without_one_of_the_checks_its_damage_is_missed(
    monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    """Planted: each check is left out, and what it alone finds goes unnamed."""
    event, record = world()
    for name, (damages, lenient) in PLANTED.items():
        for damage in damages:
            with (
                subtests.test(f"{name} {damage.__name__}"),
                transaction.atomic(),
                monkeypatch.context() as planted,
            ):
                planted.setattr(name, lenient)
                with unguarded():
                    damage(event, record)
                assert not any(DAMAGES[damage] in each for each in wrong())
                transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_forged_record_stops_everything_within_a_minute() -> None:
    event, record = world()
    assert not auditing.is_broken()
    with unguarded():
        forged(event, record)
    assert any(said.startswith(f"Redaction {record.number}: its key") for said in auditing.broken())


# What the tables let go of


@BOTH
def test_the_row_becomes_what_the_record_says_and_nothing_else(shared_database: str) -> None:
    """As the owner, whom the triggers alone hold back."""
    event, _ = world()
    other = Event.objects.filter(stream=event.stream, seq=event.seq - 1).get()
    attempts: list[tuple[Event, dict[str, Any]]] = [
        (event, {"detail": event.detail, "canonical": event.canonical}),
        (event, {"detail": {"comment": "x"}}),
        (event, {"canonical": "x"}),
        (event, {"actor_name": "Tom Reyes"}),
        (event, {"chain": "ab" * 32}),
        (event, {"subject_name": "[redacted]"}),
        (event, {"xid": 1}),
        (event, {"at": other.at}),
        (other, {"subject_name": "[redacted]"}),
    ]
    for row, columns in attempts:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            Event.objects.filter(pk=row.pk).update(**columns)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Event.objects.get(pk=event.pk).delete()
    for change_record in (Redaction.objects.all().delete, lambda: Redaction.objects.update(event=other.pk)):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change_record()


@BOTH
def test_a_vote_lets_go_of_its_comment_alone(shared_database: str) -> None:
    event, _ = world()
    vote = Vote.objects.get(action=event.stream.removeprefix("action:"))
    other = Vote.objects.get(pk=told_of_another().pk)
    for row, columns in ((vote, {"comment": "x"}), (vote, {"choice": 2}), (other, {"comment": "[redacted]"})):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            Vote.objects.filter(pk=row.pk).update(**columns)


def told_of_another() -> Vote:
    event = told()
    return Vote.objects.get(action=event.stream.removeprefix("action:"))


# Exports and what else is read from the log


@pytest.mark.django_db
def test_a_redacted_decision_still_counts_and_can_be_replayed() -> None:
    event, _ = world()
    (found,) = reading.genuine([event.stream], [Kind.ACTION_APPROVED])
    assert found["detail"]["comment"] == "[redacted]"
    assert found["detail"]["fingerprint"] == (event.detail or {})["fingerprint"]


@pytest.mark.django_db
def test_who_writes_the_mark_by_hand_is_compared_all_the_same() -> None:
    """A comment that reads like one isn't one."""
    mira = factories.actor(factories.person("mira"))
    action = factories.waiting_action().approve(by=mira, comment="[redacted]")
    seal()
    assert wrong() == []
    Action.objects.filter(pk=action.pk).update(decision_comment="Something else.")
    assert any("decision_comment" in said for said in wrong())
