"""Where the parts of a chart stand."""

import pytest

from actioncenter.actions.charts import LINE, THIN, Bars, Span, bars, full_bars, spans


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
