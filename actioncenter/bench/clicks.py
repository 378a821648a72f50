"""The benchmark `urls`: following signed links while the block list is long."""

import random
from collections.abc import Callable, Sequence
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.test import RequestFactory

from actioncenter.bench.asked import Asked
from actioncenter.bench.measuring import CpuClock, Variant, backend_of_django, interleave
from actioncenter.bench.report import Number, Report, Table, ratio
from actioncenter.feeds import clicking, links
from actioncenter.feeds.canonical import digest, read
from actioncenter.feeds.models import Block, BlockList
from actioncenter.feeds.views.click import click

AT_ONCE: Final = 5000
CLICKS: Final = 500
"""Of one round."""
URLCONF: Final = "actioncenter.bench.urls"


@login_not_required
def redirecting(request: HttpRequest, token: str) -> HttpResponse:
    """What any page costs that sends a browser on."""
    return HttpResponseRedirect("https://shop.example/")


def run(asked: Asked) -> Report:
    """CPU time of following links, this process plus database backend, medians of interleaved rounds.

    The list holds `rows` entries. *whole* is a click through the whole stack of middleware, *bare* a view there that
    only redirects; *view_vs_bare* is their ratio. *view* is the view alone, called as the stack calls it: signature,
    canonical form, look-up, answer and the line for the log of clicks; *lookups_per_s* are such clicks for a second
    of CPU. All of these links lead on, as nearly all do; each is looked up in up to 30 places. *wrong* counts other
    links, half of them to what is on the list, that were answered otherwise than they should be.
    """
    rng = random.Random(asked.seed)  # noqa: S311 - data, not secrets
    asked.say("Filling the list ...")
    _fill(asked.rows)
    wrong = _wrong(asked.rows, rng)
    asked.say("Measuring ...")
    tokens = [_token(_free(rng)) for _ in range(CLICKS)]
    clock = CpuClock.with_backends(backend_of_django())
    times = interleave(_variants(tokens), clock, rounds=asked.rounds, rng=rng)
    clicking.clicks.flush()
    view, whole, bare = (times["click", who] for who in ("view", "whole", "bare"))
    ratios: dict[str, Number] = {
        "view_vs_bare": ratio(whole, bare),
        "lookups_per_s": round(CLICKS / view * 1000),
        "wrong": wrong,
    }
    lines = [
        [who, f"{1000 * taken / CLICKS:,.0f}", f"{CLICKS / taken * 1000:,.0f}"]
        for (_, who), taken in times.items()
    ]
    table = Table(f"A click, with {asked.rows:,} entries", ["who", "CPU µs", "per s of CPU"], lines)
    return Report("urls", asked.rows, asked.database, ratios, [table])


def _listed(number: int) -> str:
    """Hosts, folders and pages."""
    host = f"http://h{number:x}.evil{number % 977}.example/"
    return (host, f"{host}kit/", f"{host}kit/{number}.html")[number % 3]


def _fill(rows: int) -> None:
    BlockList.locked()
    for start in range(0, rows, AT_ONCE):
        found = map(read, map(_listed, range(start, min(start + AT_ONCE, rows))))
        Block.objects.bulk_create(
            Block(
                key=f"bench:{start + at}", kind=each.kind, expression=each.expression, placed_by="bench", version=1,
                digest=digest(each.expression),
            )
            for at, each in enumerate(found)
        )  # fmt: skip


def _free(rng: random.Random) -> str:
    """On no list, and looked up in many places."""
    return f"https://a.b.c.shop{rng.randrange(10**9)}.example/a/b/c/{rng.randrange(10**9)}.html?id={rng.random()}"


def _token(url: str) -> str:
    return links.make(url, "bo@halden.example").removeprefix(links.CLICK)


def _wrong(rows: int, rng: random.Random) -> int:
    handle = _handler()
    blocked = [f"{_listed(rng.randrange(rows))}?x={at}" for at in range(CLICKS)]
    answers = [handle(f"{links.CLICK}{_token(url)}").status_code for url in blocked]
    others = [handle(f"{links.CLICK}{_token(_free(rng))}").status_code for _ in range(CLICKS)]
    return sum(code != 403 for code in answers) + sum(code != 302 for code in others)


def _handler() -> Callable[[str], HttpResponseBase]:
    handler, factory = BaseHandler(), RequestFactory()
    handler.load_middleware()

    def handle(path: str) -> HttpResponseBase:
        request = factory.get(path, SERVER_NAME="localhost")
        request.urlconf = URLCONF
        return handler.get_response(request)

    return handle


def _variants(tokens: Sequence[str]) -> list[Variant]:
    handle, request = _handler(), RequestFactory().get("/click/x")
    return [
        Variant("click", "view", lambda: [click(request, token) for token in tokens]),
        Variant("click", "whole", lambda: [handle(f"{links.CLICK}{token}") for token in tokens]),
        Variant("click", "bare", lambda: [handle(f"/bench/redirect/{token}") for token in tokens]),
    ]
