"""The index of words follows the seals: every event once, none that is gone, and a search misses nothing meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import Q

from actioncenter.audit import following, gently, indexing, log, sealing, triggers, words
from actioncenter.audit.models import Event, EventWords, Seal, WordsReach
from actioncenter.auditor import finding
from actioncenter.auditor.finding import Wanted
from tests.actions.stopping import until
from tests.audit.drafts import draft, seal
from tests.services.database import as_default, connect, owner_of

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("on_postgres")]
BEFORE = "audit_event_words"


def told(name: str, times: int = 1) -> list[int]:
    """Events of one transaction, so of one seal."""
    there = {*Event.objects.values_list("pk", flat=True)}
    with transaction.atomic():
        log.record_many([draft(f"action:{at}", subject_name=name) for at in range(times)])
    return sorted({*Event.objects.values_list("pk", flat=True)} - there)


def fill() -> int:
    done = 0
    while indexing.is_waiting():
        done += indexing.fill()
    return done


def indexed(word: str) -> list[int]:
    return sorted(EventWords.objects.filter(words.indexed([word])).values_list("pk", flat=True))


def found(word: str) -> tuple[list[int], int]:
    page = finding.page(Event.objects.all(), Wanted(words=(word,)))
    return sorted(row.pk for row in page.rows), page.behind


@contextmanager
def beside(url: str) -> Iterator[None]:
    """An event that commits after those that are written inside, under a lower number."""
    with as_default(url), transaction.atomic():
        log.record_many([draft("action:1000", subject_name="late")])
        late = connections["default"]
        connections["default"] = connect(url)
        try:
            yield
        finally:
            connections["default"].close()
            connections["default"] = late


def test_a_search_finds_the_same_before_while_and_after_events_are_indexed(on_postgres: str) -> None:
    made = []
    for _ in range(5):
        made += told("hay", 3)
        seal()
    made += told("hay", 2)
    steps = [found("hay")]
    while indexing.is_waiting():
        indexing.fill()
        steps.append(found("hay"))

    assert [hits for hits, _ in steps] == [made] * 4
    assert [behind for _, behind in steps] == [17, 11, 5, 2]
    assert indexed("hay") == made[:-2]


def test_what_commits_late_under_a_lower_number_is_neither_missed_nor_left_out(on_postgres: str) -> None:
    told("hay")
    seal()
    assert fill() == 1
    with beside(owner_of(on_postgres)):
        early = told("early")
        assert (sealing.seal(), fill()) == (0, 0)
        assert found("early") == (early, 1)
    (late,) = Event.objects.filter(subject_name="late").values_list("pk", flat=True)
    assert late < early[0]
    assert found("late") == ([late], 2)
    seal()
    assert fill() == 2
    assert (indexed("late"), found("late")) == ([late], ([late], 0))


def test_cut_short_it_goes_on_where_it_was(on_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(6):
        told(f"word{at}")
        seal()
    indexing.fill()

    def dies(self: WordsReach, **more: object) -> None:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(WordsReach, "save", dies)
        with pytest.raises(SystemExit):
            indexing.fill()
    assert (EventWords.objects.count(), indexed("word2")) == (2, [])
    fill()
    assert [len(indexed(f"word{at}")) for at in range(6)] == [1] * 6
    assert WordsReach.objects.get().seal == Seal.objects.order_by("-number")[0].number


def test_two_who_index_at_once_share_the_work(on_postgres: str) -> None:
    for _ in range(8):
        told("hay", 20)
        seal()
    done: list[int] = []

    def work() -> None:
        with as_default(on_postgres):
            done.append(fill())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == EventWords.objects.count() == 160


def test_a_long_tail_is_sifted_and_the_page_says_so(
    on_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "TAIL", 5)
    made = told("hay", 4)
    seal()
    assert found("hay") == (made, 4)
    made += told("hay", 2)
    assert found("hay") == (made, 6)
    seal()
    assert found("hay") == (made, 6)
    fill()
    assert found("hay") == (made, 0)


def test_on_another_cluster_the_log_is_looked_through_until_it_is_sealed_there(on_postgres: str) -> None:
    """After a dump was restored, transaction ids say nothing."""
    made = told("hay", 3)
    seal()
    fill()
    triggers.remove(connection)
    Seal.objects.update(cluster="elsewhere")
    made += told("hay", 2)
    assert found("hay") == (made, indexing.TAIL + 1)


def test_what_is_taken_out_of_an_event_is_out_of_its_words(on_postgres: str) -> None:
    stays, changed, gone = told("invoice", 3)
    seal()
    fill()
    (later,) = told("invoice")
    triggers.remove(connection)
    with transaction.atomic():
        Event.objects.filter(pk__in=[changed, later]).update(subject_name="Taken out")
        Event.objects.filter(pk=gone).delete()
        indexing.renew(Q(pk__in=[changed, gone, later]))

    assert (indexed("invoice"), indexed("taken")) == ([stays], [changed])
    assert found("taken")[0] == [changed, later]
    assert not EventWords.objects.filter(pk=gone).exists()


def taken_out_meanwhile(url: str) -> list[int]:
    """What is indexed of an event that somebody drops while another indexes it."""
    told("hay")
    seal()
    fill()
    (gone,) = told("invoice")
    seal()
    triggers.remove(connection)
    ended = threading.Event()

    def work() -> None:
        with as_default(url):
            fill()
        ended.set()

    thread = threading.Thread(target=work)
    with transaction.atomic():
        Event.objects.filter(pk=gone).delete()
        indexing.renew(Q(pk=gone))
        thread.start()
        until(lambda: ended.is_set() or _waits())
    thread.join()
    return indexed("invoice")


def _waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_nothing_is_indexed_of_what_somebody_takes_out_meanwhile(on_postgres: str) -> None:
    assert taken_out_meanwhile(on_postgres) == []


def test_without_the_lock_it_would_be(on_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    monkeypatch.setattr(following, "alone", lambda of: of.objects.get_or_create(pk=1)[0])
    assert len(taken_out_meanwhile(on_postgres)) == 1


def test_the_migration_can_be_taken_back_and_made_again(on_postgres: str) -> None:
    made = told("hay", 3)
    seal()
    fill()
    call_command("migrate", "audit", "0004", verbosity=0)
    with connection.schema_editor(atomic=False) as editor:
        assert gently.is_built(editor, BEFORE)
    call_command("migrate", "audit", verbosity=0)
    with connection.schema_editor(atomic=False) as editor:
        assert not gently.is_built(editor, BEFORE)
    assert found("hay") == (made, 3)
    fill()
    assert found("hay") == (made, 0)
