"""A log that can't be written: nobody is let in, nothing is handed out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from actioncenter.actions.enums import ActionType
from actioncenter.audit.enums import Kind
from actioncenter.connectors.simulator.estate import Estate
from tests import factories
from tests.actions.conftest import estate, run
from tests.actions.directly import taken
from tests.auditor.lives import Run
from tests.auditor.only_answered import TAKEN_AWAY
from tests.auditor.test_everything_recorded import everything, left_by, signed_in

__all__ = ["estate", "run"]
pytestmark = pytest.mark.django_db
MONTH: Final = f"{timezone.now():%Y-%m}"
ON_POSTGRES: Final = (
    "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE ="
    " '53100'; END $$; CREATE TRIGGER no_room BEFORE INSERT ON audit_event EXECUTE FUNCTION no_room()"
)
ON_SQLITE: Final = (
    "CREATE TRIGGER no_room BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no room'); END"
)


@contextmanager
def broken_log() -> Iterator[None]:
    """The database itself takes no event."""
    on_postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(ON_POSTGRES if on_postgres else ON_SQLITE)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION no_room() CASCADE" if on_postgres else "DROP TRIGGER no_room")


# Nobody is let in


def sent(client: Client, password: str = factories.PASSWORD) -> Any:
    return client.post("/sign-in", {"username": "mira", "password": password})


def test_nobody_is_signed_in_whom_the_log_does_not_know() -> None:
    client, before = newcomer()
    with broken_log():
        answer = sent(client)
        assert answer.status_code in {500, 503}
    assert everything() == before
    assert not list(sessions())
    assert client.get("/notices").status_code == 302, "and no cookie lets in"

    assert sent(client).status_code == 302
    assert client.get("/notices").status_code == 200
    assert len(list(sessions())) == 1


def test_a_wrong_password_is_not_answered_that_the_log_does_not_know() -> None:
    """Or somebody could go on guessing unseen."""
    client, before = newcomer()
    with broken_log():
        assert sent(client, "wrong").status_code in {500, 503}
    assert everything() == before
    assert sent(client, "wrong").status_code == 200


def test_a_session_that_ends_untold_goes_on() -> None:
    mira, before = signed_in("mira"), everything()
    with broken_log():
        assert mira.post("/sign-out").status_code in {500, 503}
    assert everything() == before
    assert mira.get("/notices").status_code == 200


def newcomer() -> tuple[Client, dict[str, list[Any]]]:
    factories.person("mira")
    return Client(raise_request_exception=False), everything()


def sessions() -> Iterator[object]:
    """Rows and not a count: a row that was taken back is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_key FROM django_session")
        yield from cursor.fetchall()


# Nothing is handed out


def _package(run: Run, estate: Estate) -> str:
    action = taken(ActionType.COLLECT_PACKAGE, factories.device(in_group=factories.group()))
    run(action)
    return f"/action-center/actions/{action.pk}/files/{action.artefacts.get().public_id}"


def _list(run: Run, estate: Estate) -> str:
    factories.waiting_action()
    return "/action-center/pending/export.csv"


def _targets(run: Run, estate: Estate) -> str:
    return f"/action-center/actions/{factories.waiting_action().pk}/targets.csv"


FILES: Final[Mapping[str, tuple[Kind, Callable[[Run, Estate], str]]]] = {
    "settings:authority_file": (Kind.EXPORT_MADE, lambda run, estate: "/settings/authority.csv"),
    "auditor:report_file": (Kind.EXPORT_MADE, lambda run, estate: f"/audit/reports/{MONTH}.csv"),
    "actions:reports_file": (Kind.EXPORT_MADE, lambda run, estate: "/reports/figures.csv"),
    "actions:export": (Kind.EXPORT_MADE, _list),
    "actions:targets_file": (Kind.EXPORT_MADE, _targets),
    "actions:artefact_file": (Kind.ARTEFACT_DOWNLOADED, _package),
}


def test_every_file_is_tried() -> None:
    assert FILES.keys() == TAKEN_AWAY


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_handed_out_that_the_log_does_not_know(name: str, run: Run, estate: Estate) -> None:
    kind, prepare = FILES[name]
    address = prepare(run, estate)
    client = signed_in("ivo" if kind is Kind.EXPORT_MADE else "mira")
    before = everything()
    with broken_log():
        refused = client.get(address)
        assert refused.status_code in {500, 503}
        assert "Content-Disposition" not in refused
        page = content(refused)
    assert everything() == before

    answer = client.get(address)
    file = content(answer)
    assert (answer.status_code, [event.kind for event in left_by(answer)]) == (200, [kind])
    assert file
    assert file not in page


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)
