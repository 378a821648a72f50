"""Where the parts of a chart stand."""

import pytest

from actioncenter.actions.charts import (
    LINE,
    MARGIN,
    TALL,
    THIN,
    Bars,
    Span,
    bars,
    columns,
    full_bars,
    paces,
    spans,
)


def test_bars_are_parts_of_the_whole_one_behind_the_other() -> None:
    [row] = bars([Bars("a", "3", [("approved", 2), ("rejected", 1), ("expired", 0)])], 4).rows

    assert [(part.kind, part.x, part.width) for part in row.parts] == [
        ("approved", "0.00%", "50.00%"),
        ("rejected", "50.00%", "25.00%"),
    ]


def test_what_is_there_at_all_can_be_seen() -> None:
    [row] = bars([Bars("a", "1", [("rejected", 1)])], 1_000_000).rows
    assert row.parts[0].width == f"{THIN:.2f}%"


def test_a_full_bar_is_what_it_is_made_of() -> None:
    chart = full_bars([Bars("a", "1", [("approved", 1)]), Bars("b", "0", [("approved", 0)])])

    assert [[part.width for part in row.parts] for row in chart.rows] == [["100.00%"], []]
    assert chart.height == 2 * LINE


@pytest.mark.parametrize("seconds", [0, 1, 59, 3600, 10_000_000])
def test_times_stay_within_the_picture(seconds: int) -> None:
    chart = spans([Span("a", "", seconds // 2, seconds), Span("b", "", seconds, seconds)])

    for row in chart.rows:
        [line] = row.parts
        assert 0 <= float(row.dot.rstrip("%")) <= 98
        assert float(line.x.rstrip("%")) + float(line.width.rstrip("%")) <= 100
    assert all(float(tick.x.rstrip("%")) <= 100 for tick in chart.ticks)


def test_longer_lies_further_along_and_the_ticks_say_how_long() -> None:
    chart = spans([Span("a", "", 60, 3600), Span("b", "", 7200, 400_000)])
    places = [float(row.dot.rstrip("%")) for row in chart.rows]

    assert places == sorted(places)
    assert [tick.name for tick in chart.ticks] == ["1 min", "1 h", "1 day"]
    assert chart.ticks[0].x == chart.rows[0].dot


def test_nothing_is_drawn_of_nothing() -> None:
    assert spans([]).height == 0


def test_columns_stand_on_the_ground_one_kind_on_the_other() -> None:
    chart = columns({0: [("approved", 60), ("rejected", 40)], 9: [("approved", 1), ("rejected", 0)]}, 10)
    first, last = chart.columns

    assert [(part.kind, part.y, part.height) for part in first.parts] == [
        ("approved", MARGIN + TALL - 72, 72),
        ("rejected", MARGIN, 48),
    ]
    assert [(part.kind, part.height) for part in last.parts] == [("approved", 1)]
    assert [(level.name, level.y) for level in chart.levels] == [
        ("0", MARGIN + TALL), ("50", MARGIN + TALL // 2), ("100", MARGIN),
    ]  # fmt: skip
    assert float(last.x.rstrip("%")) + float(last.width.rstrip("%")) <= 100


@pytest.mark.parametrize(
    ("most", "top"), [(1, "1"), (2, "2"), (3, "5"), (101, "200"), (999, "1,000"), (5001, "10,000")]
)
def test_a_scale_ends_at_a_round_number(most: int, top: str) -> None:
    assert columns({0: [("approved", most)]}, 1).levels[-1].name == top


def test_a_pace_is_a_line_with_a_dot_at_its_foot() -> None:
    chart = paces({0: (60, 3600), 1: (86_400, 86_400), 2: (0, 0)}, 3)

    assert [level.name for level in chart.levels] == ["1 min", "1 h", "1 day"]
    for column in chart.columns:
        [part] = column.parts
        assert MARGIN <= part.y <= column.dot <= MARGIN + TALL
        assert part.height >= 1
    assert chart.columns[1].dot < chart.columns[0].dot < chart.columns[2].dot


def test_nothing_stands_where_nothing_was() -> None:
    assert columns({}, 7).columns == paces({}, 7).columns == []
