"""Reading actions for pages and counts. Rows are tuples: building objects costs more than the query."""

from actioncenter.actions.queries.counts import (
    HISTORY_CAP,
    SORT_CAP,
    ListCounts,
    LiveCounts,
    list_counts,
    live_counts,
)
from actioncenter.actions.queries.listing import DEFAULT_SORT, PAGE_SIZE, Listing, Sort, Tab
from actioncenter.actions.queries.pages import Page, can_sort, page, possible_sort
from actioncenter.actions.queries.raw import RawRow, stamp
from actioncenter.actions.queries.viewer import Viewer, viewer_of

__all__ = [
    "DEFAULT_SORT",
    "HISTORY_CAP",
    "PAGE_SIZE",
    "SORT_CAP",
    "ListCounts",
    "Listing",
    "LiveCounts",
    "Page",
    "RawRow",
    "Sort",
    "Tab",
    "Viewer",
    "can_sort",
    "list_counts",
    "live_counts",
    "page",
    "possible_sort",
    "stamp",
    "viewer_of",
]
