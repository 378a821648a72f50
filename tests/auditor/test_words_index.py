"""Words on PostgreSQL: found by an index, also where hardly anything or nearly everything has them."""

import pytest
from django.db import DatabaseError, connection, transaction

from actioncenter.audit import gently, indexing, log, words
from actioncenter.audit.models import Event, EventWords
from actioncenter.auditor import finding
from actioncenter.auditor.finding import Wanted
from tests.audit.drafts import draft, seal

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("on_postgres")]
NEEDLE = r"C:\Users\bo\Documents\invoice_2026-11.pdf.exe"


@pytest.fixture(autouse=True, params=["looked through", "indexed"])
def events(request: pytest.FixtureRequest, on_postgres: str) -> None:
    with transaction.atomic():
        log.record_many(
            [draft(f"action:{at}", subject_name=f"Quarantine file hay{at}.exe") for at in range(60)]
        )
        log.record_many(
            [draft("action:99", subject_name=NEEDLE, after={"sha256": "ab12" * 16, "note": None})]
        )
    if request.param == "indexed":
        seal()
        indexing.fill()


def found(text: str) -> list[str]:
    page = finding.page(Event.objects.all(), Wanted(words=tuple(words.words_of(text))))
    return [event.subject for event in page.rows]


def test_parts_of_a_path_a_hash_and_a_name_are_found() -> None:
    """In one test: each has a database of its own."""
    for text in (
        "invoice", "INVOICE 2026", "pdf.exe", r"documents\invoice", "ab12" * 16, "ab12ab", "Mira invoice", "99",
    ):  # fmt: skip
        assert "action:99" in found(text), text
    for text in ("voice", "invoice nothing", "b12ab", "canonical"):
        assert found(text) == [], text


def test_common_words_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "FEW", 10)
    assert found("quarantine file") == [f"action:{at}" for at in range(59, 9, -1)]


def test_no_letter_of_a_search_is_an_operator() -> None:
    for text in ("a:* | b", "!invoice", "invoice & !pdf", "'; DROP", "<-> x", "(", "\\"):
        said = words.words_of(text)
        assert all(word.isalnum() for word in said)
        found(text)


def test_the_index_answers() -> None:
    rows = EventWords.objects.filter(words.indexed(["invoice"]))
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        plan = rows.explain()

    assert "audit_eventwords_words" in plan


def test_an_event_of_whatever_length_can_be_written() -> None:
    """PostgreSQL refuses to index more than a megabyte of words, and with it all of the seal."""
    long = " ".join(f"word{at}" for at in range(400_000))
    with transaction.atomic():
        log.record_many([draft("action:100", detail={"comment": long})])

    assert found("word77") == ["action:100"]
    seal()
    indexing.fill()
    assert found("word77") == ["action:100"]


def test_without_the_cut_it_could_not() -> None:
    """So the test above can fail."""
    text = " ".join(f"word{at}" for at in range(400_000))
    with pytest.raises(DatabaseError, match="too long for tsvector"), connection.cursor() as cursor:
        cursor.execute("SELECT to_tsvector('simple', %s)", [text])


def test_an_index_whose_build_broke_off_is_built_anew() -> None:
    name, create = "audit_event_at", "CREATE INDEX CONCURRENTLY audit_event_at ON audit_event (at, id)"
    with connection.cursor() as cursor, connection.schema_editor(atomic=False) as editor:
        assert gently.is_built(editor, name)
        cursor.execute(f"DROP INDEX {name}")
        assert not gently.is_built(editor, name)
        with pytest.raises(DatabaseError):
            # Two events of one actor: the build breaks off and leaves an index that is no good.
            cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON audit_event (actor)")
        cursor.execute("SELECT count(*) FROM pg_class WHERE relname = %s", [name])
        assert cursor.fetchone() == (1,)

        assert not gently.is_built(editor, name)
        cursor.execute(create)
        assert gently.is_built(editor, name)
