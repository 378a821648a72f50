"""Keeps how each test that carries a requirement of oversight ended, for `manage.py oversight report`."""

from typing import Final

import pytest

KEY: Final = "oversight/outcomes"
MARK: Final = "oversight"


class Outcomes:
    """A pytest plugin. What a test did in earlier runs stays until it runs again."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}
        self.carrying: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.carrying = {item.nodeid for item in items if item.get_closest_marker(MARK)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed only when set-up, call and tear-down have."""
        tells = report.when == "call" or not report.passed
        if tells and report.nodeid in self.carrying and self.ended.get(report.nodeid) != "failed":
            self.ended[report.nodeid] = report.outcome

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        cache = getattr(session.config, "cache", None)
        if cache is None or not self.ended:
            return
        again = {function_of(node) for node in self.ended}
        before: dict[str, str] = cache.get(KEY, {})
        kept = {node: outcome for node, outcome in before.items() if function_of(node) not in again}
        cache.set(KEY, kept | self.ended)


def function_of(node: str) -> str:
    """A node id without its parameters."""
    return node.partition("[")[0]
