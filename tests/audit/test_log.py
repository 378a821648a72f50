"""One event per change, in its transaction, chained to the one before."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ActionType, Area
from actioncenter.audit import canonical, log
from actioncenter.audit.enums import Kind
from actioncenter.audit.log import NotInTransaction
from actioncenter.audit.models import Event
from actioncenter.audit.verify import first_bad_row
from tests.audit.drafts import MIRA, draft
from tests.services.database import as_default


@pytest.mark.django_db
def test_event_holds_what_it_was_told() -> None:
    event = log.record(
        Kind.ACTION_APPROVED,
        by=MIRA,
        subject="action:1042",
        subject_name="Isolate WS-7",
        before={"decision": "pending"},
        after={"decision": "approved"},
        area=1,
        group_id=3,
    )

    stored = Event.objects.get()
    assert stored.pk == event.pk
    assert (stored.stream, stored.seq, stored.kind) == ("action:1042", 1, "action.approved")
    assert (stored.actor, stored.actor_name, stored.actor_via) == ("user:12", "Mira Chen", "session")
    assert (stored.before, stored.after, stored.detail) == (
        {"decision": "pending"},
        {"decision": "approved"},
        None,
    )
    assert (stored.area, stored.group_id, stored.request_id) == (1, 3, "req-1")
    assert canonical.read(stored.canonical)["at"] == stored.at


@pytest.mark.django_db
def test_first_event_of_a_stream_is_chained_to_its_name_and_the_next_to_it() -> None:
    first, second = (log.record(Kind.ACTION_QUEUED, by=MIRA, subject="action:7") for _ in range(2))

    assert (first.seq, second.seq) == (1, 2)
    assert first.chain == canonical.link(settings.AUDIT_KEY, "action:7", "", first.canonical)
    assert second.chain == canonical.link(settings.AUDIT_KEY, "action:7", first.chain, second.canonical)


@pytest.mark.django_db
def test_time_is_the_databases_own() -> None:
    event = log.record(Kind.ACTION_QUEUED, by=MIRA, subject="action:7")

    assert abs(event.at - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.django_db
def test_many_continue_their_streams_in_the_order_given() -> None:
    log.record(Kind.ACTION_PROPOSED, by=MIRA, subject="action:1")

    log.record_many(
        [draft("action:1"), draft("action:2"), draft("action:1", kind=Kind.ACTION_QUEUED), draft("group:3")]
    )

    found = Event.objects.order_by("stream", "seq").values_list("stream", "seq", "kind")
    assert list(found) == [
        ("action:1", 1, "action.proposed"),
        ("action:1", 2, "action.approved"),
        ("action:1", 3, "action.queued"),
        ("action:2", 1, "action.approved"),
        ("group:3", 1, "action.approved"),
    ]


@pytest.mark.django_db
def test_subject_and_stream_may_differ() -> None:
    event = log.record(Kind.SWITCH_PULLED, by=MIRA, subject="connector:2", stream=log.SYSTEM_STREAM)

    assert (event.stream, event.subject) == ("system", "connector:2")


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [1, 3, 100, 500])
def test_many_take_as_many_statements_as_one(rows: int) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        log.record_many([draft(f"action:{number}") for number in range(rows)])

    assert len(queries) == 2
    assert Event.objects.count() == rows


@pytest.mark.django_db
def test_none_is_nothing() -> None:
    log.record_many([])

    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_it_is_refused() -> None:
    with pytest.raises(NotInTransaction):
        log.record(Kind.ACTION_QUEUED, by=MIRA, subject="action:1")
    with pytest.raises(NotInTransaction):
        log.record_many([draft()])

    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_change_whose_event_cannot_be_written_does_not_happen() -> None:
    @transaction.atomic
    def change() -> None:
        User.objects.create_user("nadia")
        log.record(Kind.USER_CREATED, by=MIRA, subject="user:1", detail={"score": 0.5})

    with pytest.raises(TypeError):
        change()

    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_event_of_a_change_that_is_rolled_back_is_gone_too() -> None:
    @transaction.atomic
    def change() -> None:
        log.record(Kind.USER_CREATED, by=MIRA, subject="user:1")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        change()

    assert not Event.objects.exists()


@pytest.mark.postgres
def test_writers_of_one_stream_queue_up(on_postgres: str) -> None:
    def write(_: int) -> None:
        with as_default(on_postgres), transaction.atomic():
            log.record_many([draft("group:3"), draft("user:5"), draft("system")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))

    assert first_bad_row() is None
    assert Event.objects.filter(stream="group:3").count() == 40
    newest_first = Event.objects.filter(stream="group:3").order_by("-seq").values_list("at", flat=True)
    assert list(newest_first) == sorted(newest_first, reverse=True)


@pytest.mark.postgres
def test_event_knows_its_transaction(on_postgres: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        event = log.record(Kind.ACTION_QUEUED, by=MIRA, subject="action:7")
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        (expected,) = cursor.fetchone()

    assert Event.objects.get(pk=event.pk).xid == expected


@pytest.mark.postgres
@pytest.mark.parametrize("rows", [1, 500])
@pytest.mark.parametrize(("streams", "statements"), [("user", 3), ("action", 2)])
def test_many_take_few_statements_on_postgresql(
    rows: int, streams: str, statements: int, on_postgres: str
) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        log.record_many([draft(f"{streams}:{number}") for number in range(rows)])

    assert len(queries) == statements


@pytest.mark.django_db
def test_many_can_be_found_by_their_time() -> None:
    log.record_many([draft("action:1"), draft("action:2")])

    at = Event.objects.values_list("at", flat=True)[0]
    assert Event.objects.filter(at=at).count() == 2


@pytest.mark.django_db
def test_columns_say_what_the_text_says_whatever_was_passed() -> None:
    log.record(
        Kind.ACTION_EDITED,
        by=MIRA,
        subject="action:7",
        area=Area.EMAIL,
        detail={
            "type": ActionType.BLOCK_URL,
            "kind": Kind.ACTION_EDITED,
            "ids": (1, 2),
            "deep": {"é": [None, True]},
        },
    )

    assert first_bad_row() is None
    stored = Event.objects.get()
    assert stored.detail == {"type": 40, "kind": "action.edited", "ids": [1, 2], "deep": {"é": [None, True]}}


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Mira\ud800", "\udfff"])
def test_text_that_is_no_unicode_is_refused(name: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        log.record(Kind.USER_CHANGED, by=MIRA, subject="user:1", subject_name=name)
