"""Lines of the log: one record each, whatever a device is called; what is worked on; never a secret."""

import json
import logging
import sys
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from actioncenter import logs
from actioncenter.accounts import middleware
from actioncenter.actions.execution import loop, outside
from actioncenter.connectors import base
from actioncenter.logs import OneLineFormatter, OneObjectFormatter
from tests import factories
from tests.actions.conftest import RUNNER, estate

__all__ = ["estate"]
HOSTILE = ["\n", "\r\n", "\x85", "\u2028", "\x1b[2J", "\x00", "\x9b31m", "\u2029"]
SECRET = "s3cret-of-the-broker"


def record(message: str, *words: object, broken: bool = False) -> logging.LogRecord:
    info = None
    if broken:
        try:
            raise ValueError(message % words)
        except ValueError:
            info = sys.exc_info()
    return logging.LogRecord("x", logging.INFO, __file__, 1, message, words, info)


@pytest.mark.parametrize("separator", HOSTILE)
def test_text_from_outside_cannot_forge_a_record(separator: str) -> None:
    line = OneLineFormatter("%(levelname)s %(message)s").format(
        record("file %s", f"a{separator}ERROR forged")
    )

    assert len(line.splitlines()) == 1
    assert line.startswith("INFO file a")
    assert line.isprintable()


@pytest.mark.parametrize("separator", HOSTILE)
def test_nor_an_object_and_it_comes_back_as_it_was(separator: str) -> None:
    text = f"a{separator}ERROR forged"
    line = OneObjectFormatter().format(record("file %s", text, broken=True))

    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert line.isprintable()
    told = json.loads(line)
    assert (told["level"], told["message"]) == ("INFO", f"file {text}")
    assert text in told["exc_info"]


@pytest.mark.parametrize("separator", HOSTILE)
def test_what_an_exception_says_is_set_in(separator: str) -> None:
    line = OneLineFormatter("%(levelname)s %(message)s").format(
        record("%s", f"a{separator}ERROR forged", broken=True)
    )
    first, *rest = line.split("\n")
    assert rest
    assert all(each.startswith("    ") for each in rest)
    assert all(each.isprintable() for each in [first, *rest])


def test_what_is_worked_on_is_said_and_forgotten_again() -> None:
    formatter = OneObjectFormatter()
    with logs.bound(action=1042), logs.bound(attempt="k\n"):
        told = json.loads(formatter.format(record("sent")))
        line = OneLineFormatter("%(message)s").format(record("sent"))
    assert (told["action"], told["attempt"]) == (1042, "k\n")
    assert line == "sent action=1042 attempt=k\\x0a"
    assert "action" not in json.loads(formatter.format(record("sent")))


@pytest.mark.parametrize("make", [OneObjectFormatter, lambda **more: OneLineFormatter("%(message)s", **more)])
def test_no_secret_stands_in_a_line(make: Any) -> None:
    formatter = make(secrets=[settings.SECRET_KEY, "", "short"])
    for text in (
        f"amqp://user:{SECRET}@host/",
        f"Authorization: Bearer {SECRET}",
        f"key {settings.SECRET_KEY}",
    ):
        line = formatter.format(record("%s short", text, broken=True))
        assert SECRET not in line
        assert settings.SECRET_KEY not in line
        assert logs.HIDDEN in line
        assert "short" in line


@pytest.mark.parametrize("setting", ["SECRET_KEY", "FIELD_KEY"])
def test_the_keys_are_known_to_the_log(setting: str) -> None:
    key = getattr(settings, setting)
    assert (key if isinstance(key, str) else key.decode()) in settings.SECRETS


def test_an_attempt_says_which_it_is(estate: object, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def connect(*_: object) -> None:
        seen.append(logs.facts())
        raise base.Permanent("no_route", "Nobody there.")

    monkeypatch.setattr(outside, "connect", connect)
    action = factories.waiting_action()
    action.approve(by=factories.person("mira").actor())
    loop.drain(by=RUNNER)
    assert {"action": action.pk, "attempt": str(action.attempts.get().public_id)} in seen
    assert logs.facts() == {}


def test_a_request_says_which_it_is(rf: RequestFactory) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(logs.facts()["request_id"])

    answer = middleware.request_id(view)(rf.get("/"))  # type: ignore[arg-type]
    assert answer["X-Request-Id"] == answer.content.decode()  # type: ignore[attr-defined]
