"""Of suites that take long, an ordinary run does a sample, another one every day; `-m long` does the rest.

`@pytest.mark.sampled(3)` lets three cases of a test run, chosen by the seed that the run names in its head.
"""

import os
import random
from collections import defaultdict
from datetime import UTC, datetime
from typing import Final

import pytest

SEED: Final = int(os.environ.get("ACTIONCENTER_SAMPLE") or datetime.now(UTC).date().toordinal())


class Sampling:
    """Marks as `long` what isn't in the sample."""

    def pytest_report_header(self) -> str:
        return f"samples of long suites: ACTIONCENTER_SAMPLE={SEED}"

    # Before pytest itself chooses by marks.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for (_, number), cases in sampled(items).items():
            for item in left_out(cases, number):
                item.add_marker(pytest.mark.long)


def sampled(items: list[pytest.Item]) -> dict[tuple[str, int], list[pytest.Item]]:
    """The cases of each test that has a sample, but for those that are long anyway."""
    found: dict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark is not None and not item.get_closest_marker("long"):
            found[item.nodeid.partition("[")[0], mark.args[0]].append(item)
    return found


def left_out(cases: list[pytest.Item], number: int) -> list[pytest.Item]:
    """The same ones for the same seed, whatever the order."""
    cases = sorted(cases, key=lambda item: item.nodeid)
    chance = random.Random(f"{SEED} {cases[0].nodeid.partition('[')[0]}")
    return chance.sample(cases, max(len(cases) - number, 0))
