"""Notices by mail, through a real server on a socket."""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from actioncenter.accounts import mail
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, User
from actioncenter.accounts.notices import notify
from actioncenter.actions import housekeeping
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from tests.accounts.people import person
from tests.services.database import as_default
from tests.services.mail_server import PASSWORD, USER, Fault, MailServer

BY = Actor.system("runner")
LOUD = [Severity.WARNING, Severity.URGENT]
FAULTS = [fault for fault in Fault if fault not in {Fault.NONE, Fault.RUDE}]
database = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    with MailServer() as running:
        settings.MAIL_ON = True
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", running.port, 30
        settings.DEFAULT_FROM_EMAIL = "Action center <center@halden.example>"
        settings.PUBLIC_URL = "https://ac.halden.example"
        yield running


def reader(name: str = "mira", *roles: Role) -> User:
    user = person(name, *roles)
    user.email = f"{name}@halden.example"
    user.save()
    return user


def tell(*users: User, severity: Severity = Severity.URGENT, title: str = "SSH is down", **more: Any) -> None:
    notify(users, "connector.down", title=title, severity=severity, **more)


def make_due() -> None:
    Notice.objects.exclude(mail_after=None).update(mail_after=timezone.now() - timedelta(seconds=1))


def only() -> Notice:
    return Notice.objects.get()


@database
@pytest.mark.parametrize("severity", LOUD)
def test_what_is_loud_is_mailed_at_once(severity: Severity, server: MailServer) -> None:
    tell(
        reader(),
        severity=severity,
        url="/action-center/actions/7",
        params={"lines": ["No answer since 14:02."]},
    )
    assert mail.is_due()

    assert mail.deliver(BY) == 1

    (message,) = server.taken
    text = message.get_content()
    assert message["To"] == "mira@halden.example"
    assert message["From"] == "Action center <center@halden.example>"
    assert message["Subject"].startswith("[Action center] ")
    assert message["Subject"].endswith("SSH is down")
    assert message.get_content_type() == "text/plain"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "https://ac.halden.example/action-center/actions/7" in text.splitlines()
    assert "No answer since 14:02." in text
    assert (only().mail_after, only().mail_tries, only().mail_error) == (None, 1, "")
    assert only().mailed_at is not None
    assert not mail.is_due()


@database
def test_links_are_paths_where_nobody_said_what_the_site_is_called(server: MailServer, settings: Any) -> None:
    settings.PUBLIC_URL = ""
    tell(reader(), url="/devices/7")

    mail.deliver(BY)

    assert "/devices/7" in server.taken[0].get_content().splitlines()


@database
def test_what_is_quiet_comes_as_one_mail_at_the_end_of_the_hour(server: MailServer) -> None:
    mira, tom = reader("mira"), reader("tom")
    with time_machine.travel("2026-03-01T08:20:00Z", tick=False):
        for number in range(12):
            tell(mira, severity=Severity.INFO, title=f"Group {number} changed")
        tell(tom, severity=Severity.INFO, title="Group 0 changed")
    wanted = {row.mail_after.isoformat() for row in Notice.objects.all() if row.mail_after}
    assert wanted == {"2026-03-01T09:00:00+00:00"}

    assert mail.deliver(BY) == 2

    to_mira, to_tom = sorted(server.taken, key=lambda message: str(message["To"]))
    assert to_mira["Subject"] == "[Action center] 12 notices"
    assert all(f"Group {number} changed" in to_mira.get_content() for number in range(12))
    assert to_tom["Subject"] == "[Action center] Group 0 changed"
    assert not Notice.objects.filter(mailed_at=None).exists()


@database
def test_what_is_quiet_waits(server: MailServer) -> None:
    tell(reader(), severity=Severity.INFO)

    assert not mail.is_due()
    assert mail.deliver(BY) == 0


@database
@pytest.mark.parametrize("severity", LOUD)
def test_what_is_loud_is_never_folded(severity: Severity, server: MailServer) -> None:
    mira = reader()
    for number in range(3):
        tell(mira, severity=severity, title=f"Connector {number} is down")

    assert mail.deliver(BY) == 3


@database
@pytest.mark.parametrize("number", [mail.LISTED, mail.LISTED + 1])
def test_a_flood_is_counted_but_not_spelt_out(number: int, server: MailServer) -> None:
    tell(*[reader()] * number, severity=Severity.INFO)
    make_due()

    mail.deliver(BY)

    text = server.taken[0].get_content()
    assert text.count("SSH is down") == mail.LISTED
    assert ("And 1 more." in text) is (number > mail.LISTED)


@database
def test_a_hostile_title_stays_in_its_line(server: MailServer) -> None:
    hostile = "invoice\u202egpj.exe\r\nBcc: eve@evil.example\r\n\r\n<b>Approve</b> \x1b[2J"
    tell(reader(), title=hostile, params={"lines": [hostile]})

    mail.deliver(BY)

    (message,) = server.taken
    assert server.recipients == ["TO:<mira@halden.example>"]
    assert message["Bcc"] is None
    everything = message["Subject"] + message.get_content()
    assert "[U+202E]" in message["Subject"]
    assert not {"\u202e", "\x1b"} & set(everything)
    assert "\nBcc:" not in everything


@database
@pytest.mark.parametrize(
    "address", ["eve@evil.example\r\nBcc: all@evil.example", "no address", "ü@ü..example"]
)
def test_an_address_that_is_none_is_an_error_of_that_mail(address: str, server: MailServer) -> None:
    User.objects.filter(pk=reader().pk).update(email=address)
    tell(User.objects.get())
    tell(reader("tom"))

    mail.deliver(BY)

    assert [message["To"] for message in server.taken if "tom" in message["To"]] == ["tom@halden.example"]
    assert not any("evil" in recipient for recipient in server.recipients)


@database
@pytest.mark.parametrize(
    "change",
    [{"notices_by_mail": False}, {"email": ""}, {"is_active": False}],
    ids=["unwanted", "no address", "gone"],
)
@pytest.mark.parametrize("early", [True, False], ids=["before", "meanwhile"])
def test_nothing_is_mailed_to_those_who(change: dict[str, Any], early: bool, server: MailServer) -> None:
    mira = reader()
    if early:
        User.objects.update(**change)
        mira.refresh_from_db()
    tell(mira)
    User.objects.update(**change)

    assert mail.deliver(BY) == 0

    assert server.calls == 0
    assert (only().mail_after, only().mailed_at, only().mail_error) == (None, None, "")


@database
def test_without_a_server_nothing_is_kept_for_later(settings: Any) -> None:
    assert settings.MAIL_ON is False
    tell(reader())

    assert only().mail_after is None


@database
@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_is_tried_again_later(fault: Fault, server: MailServer, settings: Any) -> None:
    server.fault = fault
    settings.EMAIL_TIMEOUT = 0.2 if fault is Fault.SLOW else 30
    tell(reader())

    assert mail.deliver(BY) == 0

    row = only()
    assert (row.mailed_at, row.mail_tries) == (None, 1)
    assert row.mail_error
    assert row.mail_error.isprintable()
    assert not mail.is_due()
    server.fault = Fault.NONE
    make_due()
    assert mail.deliver(BY) == 1
    assert (only().mail_tries, only().mail_error, only().mail_after) == (2, "", None)


@database
def test_a_repeated_mail_can_be_recognised(server: MailServer) -> None:
    server.fault = Fault.LOST_AFTER
    tell(reader())
    mail.deliver(BY)
    server.fault = Fault.NONE
    make_due()
    mail.deliver(BY)

    first, second = [message["Message-ID"] for message in server.taken]
    assert first == second
    assert first.startswith(f"<notice-{only().pk}.")
    assert first.endswith("@halden.example>")


@database
def test_two_notices_are_two_messages(server: MailServer) -> None:
    tell(reader("mira"), reader("tom"))

    mail.deliver(BY)

    assert len({message["Message-ID"] for message in server.taken}) == 2


@database
def test_a_server_that_breaks_off_after_taking_the_mail_has_taken_it(server: MailServer) -> None:
    server.fault = Fault.RUDE
    tell(reader())

    assert mail.deliver(BY) == 1


@database
def test_after_the_last_try_the_log_and_the_admins_are_told(server: MailServer, client: Client) -> None:
    server.fault = Fault.RECIPIENT_REFUSED
    mira, ada = reader("mira"), person("ada", Role.ADMIN)
    tell(mira, title="For Mira's eyes only")
    for tries in range(1, mail.TRIES + 1):
        assert not Event.objects.filter(kind="notice.undelivered").exists()
        mail.deliver(BY)
        assert only().mail_tries == tries
        make_due()

    event = Event.objects.get(kind="notice.undelivered")
    assert (event.subject, event.detail["notices"], event.detail["tries"]) == (
        mira.ref,
        [only().pk],
        mail.TRIES,
    )
    assert only().mail_after is None
    assert mail.deliver(BY) == 0
    client.force_login(ada)
    page = client.get("/notices").content.decode()
    assert "Mail that did not arrive" in page
    assert "Nobody of that name" in page
    assert "For Mira" not in page
    client.force_login(mira)
    assert "Mail that did not arrive" not in client.get("/notices").content.decode()


@database
def test_a_last_try_without_an_end_is_given_up_too(server: MailServer) -> None:
    tell(reader())
    Notice.objects.update(mail_tries=mail.TRIES)

    assert mail.deliver(BY) == 0

    assert server.calls == 0
    assert Event.objects.get(kind="notice.undelivered").detail["error"] == mail.UNCLEAR
    assert (only().mail_after, only().mail_error) == (None, mail.UNCLEAR)


@database
def test_a_server_that_is_not_there_is_asked_once_per_run(server: MailServer) -> None:
    server.fault = Fault.BUSY
    tell(reader("mira"), reader("tom"), reader("ada"))

    mail.deliver(BY)

    assert server.calls == 1
    assert sorted(Notice.objects.values_list("mail_tries", flat=True)) == [0, 0, 1]


@database
def test_a_mail_that_is_refused_holds_up_no_other(server: MailServer) -> None:
    server.fault = Fault.CONTENT_REFUSED
    tell(reader("mira"), reader("tom"), reader("ada"))

    mail.deliver(BY)

    assert server.calls == 3


@database
@pytest.mark.parametrize("password", [PASSWORD, "wrong-password-of-ours"])
def test_the_password_reaches_the_server_and_nothing_else(
    password: str, server: MailServer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = USER, password
    tell(reader())

    with caplog.at_level(logging.DEBUG):
        assert mail.deliver(BY) == (password == PASSWORD)

    assert password not in caplog.text + only().mail_error


@database
def test_a_try_belongs_to_one_runner(server: MailServer) -> None:
    mira = reader()
    tell(mira)

    assert mail._claim(mira.pk, [only().pk], by=BY) is not None
    assert mail._claim(mira.pk, [only().pk], by=BY) is None


@pytest.mark.postgres
def test_many_runners_send_each_mail_once(on_postgres: str, server: MailServer) -> None:
    people = [reader(f"reader{number}") for number in range(20)]
    tell(*people)
    tell(*people * 3, severity=Severity.INFO)
    make_due()
    together = threading.Barrier(4)

    def run() -> None:
        with as_default(on_postgres):
            together.wait(30)
            mail.deliver(BY)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(str(message["To"]) for message in server.taken) == sorted(user.email for user in people * 2)
    assert set(Notice.objects.values_list("mail_tries", flat=True)) == {1}


@database
def test_mail_is_a_chore_apart_from_those_that_must_not_wait(server: MailServer) -> None:
    tell(reader())
    assert "mail" not in {chore.name for chore in housekeeping.CHORES}

    housekeeping.run_due(by=BY, chores=housekeeping.OUTWARD)

    assert len(server.taken) == 1
