"""Everything that is measured in turns, page by page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from django.test import RequestFactory
from django.urls import reverse

from actioncenter.actions.queries import PAGE_SIZE, Listing, Tab, list_counts, page, viewer_of
from actioncenter.bench.measuring import Variant
from actioncenter.bench.pages import bare
from actioncenter.bench.pages.draws import Case, address
from actioncenter.bench.pages.floor import Floor
from actioncenter.bench.population import Filled
from actioncenter.bench.visiting import Visitor
from actioncenter.live.context import counts_of
from actioncenter.settings.access import scope_for
from actioncenter.web.keyset import seal

PAGE_1: Final = "page 1"
DEEP: Final = "page 1000"
DEEPEST: Final = 1_000
QUICK, SLOW_EVERY = 3, 3
NARROWED: Final[Mapping[Tab, Mapping[str, Any]]] = {Tab.PENDING: {"decision": 2}, Tab.HISTORY: {}}
"""What the admin is asked for. Its history is the whole table: the order by key is its fastest."""


@dataclass(frozen=True, slots=True)
class Setup:
    filled: Filled
    visitor: Visitor
    floor: Floor


def variants(setup: Setup, cases: Sequence[Case]) -> Sequence[Variant]:
    return [*_first_pages(setup), *_deep_pages(setup), *_filtered(setup, cases)]


def _first_pages(setup: Setup) -> Iterator[Variant]:
    for tab in Tab:
        case = f"{tab} {PAGE_1}"
        _prepare_bare(setup.visitor, tab)
        yield Variant(case, "ours", _ours(setup, address(tab, {})), QUICK)
        yield Variant(case, "first time", partial(setup.visitor.get_first, address(tab, {})), QUICK)
        yield Variant(case, "bare", _ours(setup, f"/bench/bare/{tab}"), QUICK)
        yield Variant(case, "floor", partial(setup.floor.page, tab), QUICK)
        yield from _peers(setup, case, NARROWED[tab])


def _deep_pages(setup: Setup) -> Iterator[Variant]:
    for tab in Tab:
        number, token = _deep_token(setup.visitor, tab)
        case = f"{tab} {DEEP}"
        yield Variant(case, "ours", _ours(setup, address(tab, {"page": token} if token else {})), QUICK)
        yield from _peers(setup, case, {**NARROWED[tab], "p": number})


def _filtered(setup: Setup, cases: Sequence[Case]) -> Iterator[Variant]:
    for case in cases:
        name = f"{case.tab}: {case.name}"
        yield Variant(name, "ours", _ours(setup, address(case.tab, case.ours)), QUICK)
        yield from _peers(setup, name, case.theirs)


def _ours(setup: Setup, path: str) -> Callable[[], object]:
    return partial(setup.visitor.get, path)


def _peers(setup: Setup, case: str, query: Mapping[str, Any]) -> Iterator[Variant]:
    for site in ("default", "tuned"):
        path = f"{reverse(f'bench_{site}:actions_action_changelist')}?{urlencode(query)}"
        yield Variant(case, site, partial(setup.visitor.get, path), every=SLOW_EVERY)


def _prepare_bare(visitor: Visitor, tab: Tab) -> None:
    request = RequestFactory().get("/")
    request.user = visitor.user
    bare.prepare(tab, visitor.get(address(tab, {})), viewer_of(request), counts_of(request))


def _deep_token(visitor: Visitor, tab: Tab) -> tuple[int, str]:
    """Page 1000 or the last full one: its number and token, found by reading up to it once."""
    scope = scope_for(visitor.user)
    counts = list_counts(Listing(tab=tab, scope=scope))
    rows = Listing(tab=tab, scope=scope).rows().count()
    number = max(1, min(DEEPEST, rows // PAGE_SIZE))
    skipped = Listing(tab=tab, scope=scope, size=PAGE_SIZE * (number - 1) or 1)
    after = page(skipped, counts).after if number > 1 else None
    return number, seal(after) if after else ""
