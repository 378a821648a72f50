"""The bands that a list is cut into: what needs a look, what runs, the days of what ended."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Final, TypedDict

from actioncenter.actions.queries import DEFAULT_SORT, ListCounts, Page, Tab, Viewer, stamp
from actioncenter.actions.rows import Row
from actioncenter.actions.views.state import ListState

PUT_OFF: Final = "off"


class Band(TypedDict):
    key: str
    label: str
    icon: str
    count: int | None
    rows: Sequence[Row]


def grouped(
    state: ListState, found: Page, counts: ListCounts, bands: Sequence[Sequence[Row]], rows: Sequence[Row]
) -> list[Band]:
    """Bands with rows only, in the order shown."""
    beside = [_named(state, some, counts.bands[at], at) for at, some in enumerate(bands) if some]
    made = [band for band in beside if band["key"] != PUT_OFF]
    below = [band for band in beside if band["key"] == PUT_OFF]
    if not rows:
        return made + below
    if state.tab is Tab.PENDING:
        made.append(_band("waiting", "Waits for a decision", rows, icon="s-pending", count=counts.total))
    elif found.sort == DEFAULT_SORT[Tab.HISTORY] and state.listing.live_result is None:
        made += _days(state.viewer, found, rows)
    else:
        made.append(_band("sorted", "Running" if state.listing.live_result else "Ended", rows))
    return made + below


def _named(state: ListState, rows: Sequence[Row], count: int, at: int) -> Band:
    if state.tab is Tab.PENDING and at:
        band = _band(PUT_OFF, "Put off", rows, icon="clock", count=count)
    elif state.tab is Tab.PENDING:
        band = _band("look", "Needs a look", rows, icon="s-odd", count=count)
    elif rows[0]["result_code"] == "expired":
        band = _band("overdue", "Expired, not yet filed", rows, icon="s-exp", count=count)
    else:
        band = _band("running", "Approved, not finished", rows, icon="s-run", count=count)
    if count > len(rows):
        band["label"] += f", {len(rows)} shown of"
    return band


def _days(viewer: Viewer, found: Page, rows: Sequence[Row]) -> list[Band]:
    today = viewer.local(viewer.now).date()
    days = [_day_of(viewer, raw.history_at) for raw in found.rows]
    return [
        _band(f"{day:%Y-%m-%d}", _day_label(day, today), [row for _, row in pairs])
        for day, pairs in groupby(zip(days, rows, strict=True), key=lambda pair: pair[0])
    ]


def _day_of(viewer: Viewer, text: str | None) -> date:
    moment = stamp(text)
    return viewer.local(moment or viewer.now).date()


def _day_label(day: date, today: date) -> str:
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day:%A}, {day.day} {day:%B}" + ("" if day.year == today.year else f" {day.year}")


def _band(key: str, label: str, rows: Sequence[Row], *, icon: str = "", count: int | None = None) -> Band:
    return {"key": key, "label": label, "icon": icon, "count": count, "rows": rows}
