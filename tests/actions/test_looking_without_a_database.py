"""Runners look twice a second: while the database is away one line each time says that, and no traceback."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from actioncenter.actions import housekeeping
from actioncenter.auditor.verification import running
from tests.actions.conftest import RUNNER
from tests.actions.looks import Twice

pytestmark = pytest.mark.django_db


def away(*_: Any) -> Any:
    raise OperationalError("connection refused")


def broken(*_: Any) -> Any:
    raise LookupError("a mistake of ours")


def keep_house(monkeypatch: pytest.MonkeyPatch, fails: Callable[..., Any]) -> None:
    monkeypatch.setattr(housekeeping.connection, "close", lambda: None)
    chore = housekeeping.Chore("any", 0, fails, lambda _: 0)
    housekeeping.run_until(Twice(), by=RUNNER, chores=[chore])


def verify(monkeypatch: pytest.MonkeyPatch, fails: Callable[..., Any]) -> None:
    monkeypatch.setattr(running.connection, "close", lambda: None)
    monkeypatch.setattr(running, "_claim", fails)
    running.work(Twice(), by=RUNNER, holder="host:1")


@pytest.mark.parametrize("look", [keep_house, verify])
@pytest.mark.parametrize(("fails", "level", "traceback"), [(away, "WARNING", False), (broken, "ERROR", True)])
def test_an_outage_takes_a_line_and_a_mistake_a_traceback(
    look: Callable[..., None],
    fails: Callable[..., Any],
    level: str,
    traceback: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        look(monkeypatch, fails)
    assert [(said.levelname, bool(said.exc_info)) for said in caplog.records] == [(level, traceback)] * 2
