import json

import pytest

from actioncenter.bench.measuring import percentile
from actioncenter.bench.report import Report, Table, ratio

GOOD = {"admin_default_vs_page1": 20.0, "page1000_vs_page1": 1.2, "filters_mismatches": 0}


@pytest.mark.parametrize(
    ("changed", "held"),
    [
        ({}, True),
        ({"admin_default_vs_page1": 19.9}, False),
        ({"page1000_vs_page1": 1.21}, False),
        ({"filters_mismatches": 1}, False),
        ({"page1000_vs_page1": None}, False),
    ],
)
def test_every_target_has_to_hold(changed: dict[str, float | None], held: bool) -> None:
    report = Report("pages", 1_000_000, "sqlite", {**GOOD, **changed})
    assert report.held is held
    assert json.loads(report.json())["held"] is held


def test_other_sizes_have_no_target() -> None:
    report = Report("pages", 999_999, "sqlite", {**GOOD, "filters_mismatches": 7})
    assert report.held is None
    assert json.loads(report.json())["targets"] == {}


def test_a_table_is_aligned_markdown() -> None:
    table = Table("Things", ["name", "ms"], [["a", "1.00"], ["long one", "12.50"]])
    assert list(table.text()) == [
        "Things\n",
        "| name     |    ms |",
        "|----------|------:|",
        "| a        |  1.00 |",
        "| long one | 12.50 |",
        "",
    ]


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.95, 10), (0.9, 9), (1, 10), (0.01, 1)])
def test_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile([10, 1, 2, 3, 4, 5, 6, 7, 8, 9], share) == value


def test_a_ratio_has_three_digits() -> None:
    assert (ratio(1, 3), ratio(1234, 1), ratio(1, 0)) == (0.333, 1230.0, 0.0)
