"""Which tests failed only because another process took too long: on a busy machine that says nothing of what it did."""

from collections.abc import Generator
from subprocess import TimeoutExpired
from typing import Final

import pytest

KEY: Final = "impatience/waited"


class TookTooLong(AssertionError):
    """What was waited for didn't happen in time. Nothing that happened was wrong."""


class Impatience:
    """A pytest plugin."""

    def __init__(self) -> None:
        self.waited: set[str] = set()
        self.wrong: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and call.excinfo is not None:
            only_late = call.excinfo.errisinstance((TookTooLong, TimeoutExpired))
            (self.waited if only_late else self.wrong).add(item.nodeid)
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        cache = getattr(session.config, "cache", None)
        if cache is not None:
            cache.set(KEY, sorted(self.waited - self.wrong))
