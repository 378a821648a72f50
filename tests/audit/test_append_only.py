"""Nothing in the product can change or remove an event, whichever way it tries."""

from collections.abc import Callable

import pytest
from django.core.checks import Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction

from actioncenter.audit import log, triggers
from actioncenter.audit.models import Event
from tests.audit.drafts import draft

ROW = (
    "stream, seq, at, kind, actor, actor_name, actor_via, subject, subject_name, request_id, canonical, chain"
)


def sql(text: str) -> Callable[[Event], object]:
    def run(event: Event) -> None:
        with connection.cursor() as cursor:
            cursor.execute(text)

    return run


def save_again(event: Event) -> None:
    event.actor_name = "Somebody else"
    event.save()


def save_as_new_with_its_id(event: Event) -> None:
    event.save(force_insert=True)


ATTACKS: dict[str, Callable[[Event], object]] = {
    "save": save_again,
    "insert its id": save_as_new_with_its_id,
    "delete": Event.delete,
    "update all": lambda event: Event.objects.update(actor_name="Somebody else"),
    "delete all": lambda event: Event.objects.all().delete(),
    "bulk_update": lambda event: Event.objects.bulk_update([event], ["actor_name"]),
    "bulk upsert": lambda event: Event.objects.bulk_create(
        [Event(**{name: getattr(event, name) for name in [*ROW.split(", ")]})],
        update_conflicts=True,
        update_fields=["actor_name"],
        unique_fields=["stream", "seq"],
    ),
    "update_or_create": lambda event: Event.objects.update_or_create(
        pk=event.pk, defaults={"actor_name": "Somebody else"}
    ),
    "UPDATE": sql("UPDATE audit_event SET actor_name = 'x'"),
    "UPDATE that changes nothing": sql("UPDATE audit_event SET actor_name = actor_name"),
    "DELETE": sql("DELETE FROM audit_event"),
    "insert a taken place": sql(f"INSERT INTO audit_event ({ROW}) SELECT {ROW} FROM audit_event"),
}
ON_SQLITE = {
    "INSERT OR REPLACE by id": sql(
        f"INSERT OR REPLACE INTO audit_event (id, {ROW}) SELECT id, {ROW} FROM audit_event"
    ),
    "REPLACE by place": sql(f"REPLACE INTO audit_event ({ROW}) SELECT {ROW} FROM audit_event"),
    "UPDATE OR REPLACE": sql("UPDATE OR REPLACE audit_event SET seq = 1"),
    "upsert": sql(
        f"INSERT INTO audit_event ({ROW}) SELECT {ROW} FROM audit_event WHERE true"
        " ON CONFLICT DO UPDATE SET actor_name = 'x'"
    ),
}
ON_POSTGRESQL = {
    "TRUNCATE": sql("TRUNCATE audit_event"),
    "TRUNCATE CASCADE": sql("TRUNCATE audit_event RESTART IDENTITY CASCADE"),
    "upsert": sql(
        f"INSERT INTO audit_event ({ROW}) SELECT {ROW} FROM audit_event"
        " ON CONFLICT (stream, seq) DO UPDATE SET actor_name = 'x'"
    ),
    "CTE": sql("WITH gone AS (DELETE FROM audit_event RETURNING 1) SELECT * FROM gone"),
    "chosen id": sql(f"INSERT INTO audit_event (id, {ROW}) SELECT 99, {ROW} FROM audit_event"),
}


def attack(attempt: Callable[[Event], object]) -> None:
    with transaction.atomic():
        log.record_many([draft("action:1"), draft("action:2")])
    before = list(Event.objects.order_by("id").values())

    with pytest.raises(DatabaseError), transaction.atomic():
        attempt(Event.objects.get(stream="action:1"))

    assert list(Event.objects.order_by("id").values()) == before


# Of the database that this run is on.
HERE = {**ATTACKS, **(ON_SQLITE if connection.vendor == "sqlite" else ON_POSTGRESQL)}


@pytest.mark.django_db
@pytest.mark.parametrize("name", HERE)
def test_change_is_refused(name: str) -> None:
    attack(HERE[name])


@pytest.mark.postgres
@pytest.mark.parametrize("name", [*ATTACKS, *ON_POSTGRESQL])
def test_change_is_refused_by_postgresql(name: str, on_postgres: str) -> None:
    attack({**ATTACKS, **ON_POSTGRESQL}[name])


@pytest.mark.django_db
@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_the_triggers_that_refuse(name: str) -> None:
    """Without them most of this works; what still fails is refused by a key."""
    triggers.remove(connection)
    log.record_many([draft("action:1"), draft("action:2")])

    if name.startswith("insert"):
        with pytest.raises(DatabaseError), transaction.atomic():
            ATTACKS[name](Event.objects.get(stream="action:1"))
    else:
        ATTACKS[name](Event.objects.get(stream="action:1"))


@pytest.mark.django_db
def test_migrated_database_is_protected() -> None:
    assert triggers.missing(connection) == []
    triggers.require()


@pytest.mark.django_db(transaction=True)
def test_rebuilt_table_is_protected_again_by_the_next_migrate() -> None:
    rebuild()
    if connection.vendor == "sqlite":
        assert triggers.missing(connection) == [
            "audit_event_no_update",
            "audit_event_no_delete",
            "audit_event_no_replace",
        ]

    call_command("migrate", verbosity=0)

    assert triggers.missing(connection) == []


def rebuild() -> None:
    """What AlterField does on SQLite."""
    old = Event._meta.get_field("subject_name")
    new = models.CharField(max_length=500)
    new.set_attributes_from_name("subject_name")
    new.model = Event
    for one, other in ((old, new), (new, old)):
        with connection.schema_editor() as editor:
            editor.alter_field(Event, one, other)


@pytest.mark.django_db(transaction=True)
def test_flush_leaves_it_protected() -> None:
    triggers.remove(connection)

    call_command("flush", interactive=False, verbosity=0)

    assert triggers.missing(connection) == []


@pytest.mark.django_db
def test_missing_triggers_are_named_and_nothing_starts() -> None:
    triggers.remove(connection)

    with pytest.raises(ImproperlyConfigured, match=r"audit_event_no_.*manage\.py migrate"):
        triggers.require()

    (warning,) = run_checks(tags=[Tags.database], databases=["default"])
    assert warning.id == "audit.W001"


@pytest.mark.django_db
def test_protected_log_passes_the_check() -> None:
    assert run_checks(tags=[Tags.database], databases=["default"]) == []


@pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
def test_a_trigger_of_that_name_that_says_something_else_is_made_again(shared_database: str) -> None:
    """As after a migration before which it couldn't ask for all that it asks for now."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER audit_event_no_delete")
        cursor.execute(
            "CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event BEGIN SELECT 1; END"
        )
    triggers.install(connection)
    attack(ATTACKS["delete all"])


@pytest.mark.postgres
def test_disabled_trigger_counts_as_missing_and_is_made_again(on_postgres: str) -> None:
    sql("ALTER TABLE audit_event DISABLE TRIGGER audit_event_no_change")(Event())
    assert triggers.missing(connection) == ["audit_event_no_change"]

    triggers.install(connection)

    attack(ATTACKS["UPDATE"])
