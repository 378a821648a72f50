"""The block list under the conformance suite: the real table, on whichever database the suite runs."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution.blocking import Book
from actioncenter.connectors.base import Request, Target, Unknown
from actioncenter.connectors.feeds.book import Held, Reading
from actioncenter.connectors.feeds.connector import BlockList
from actioncenter.feeds.models import Block
from actioncenter.feeds.models import BlockList as Listed
from tests.connectors.harness import Harness

COLUMNS = ("key", "expression", "expires_at", "placed_by", "version", "released_by", "released_at")
_numbers = count(1)


class Losing(Book):
    """A book whose next answer may be lost, before or after the change."""

    def __init__(self) -> None:
        self.lose = ""
        self.refused: set[str] = set()

    def read(self, url: str) -> Reading:
        reading = super().read(url)
        return replace(reading, refusal="It may not be.") if url in self.refused else reading

    def _lost(self, when: str) -> None:
        if self.lose == when:
            self.lose = ""
            raise Unknown("The block list was written to, and no answer came.")

    def place(self, key: str, url: str, days: int, ref: str) -> Held:
        self._lost("before")
        held = super().place(key, url, days, ref)
        self._lost("after")
        return held

    def release(self, key: str, ref: str) -> Held:
        self._lost("before")
        held = super().release(key, ref)
        self._lost("after")
        return held


class FeedsHarness(Harness):
    secret = "nothing to hide"
    # The list is a table of the product's own database: there is nowhere to sign in, nobody else who could
    # answer in its place, and where it is away, so is everything.
    has_credentials = has_identity = has_patience = goes_offline = searches = False

    def __init__(self, make: type[BlockList] = BlockList) -> None:
        self.time = 1_700_000_000.0
        self.book = Losing()
        self.connector = make(self.book, lambda: self.time)

    def request(self, kind: ActionType, targets: int = 1) -> Request:
        made = [self._target(kind, next(_numbers)) for _ in range(targets)]
        return Request(str(uuid.uuid4()), kind, made, clean_parameters(kind, {}))

    def _target(self, kind: ActionType, number: int) -> Target:
        facts = {"url": f"http://evil{number}.example/kit/login.html"}
        return Target(f"t{number}", CATALOGUE[kind].kind, "tenant", facts)

    def effects(self, request: Request) -> Mapping[str, int]:
        placed = Block.objects.filter(placed_by=request.id).values_list("key", flat=True)
        released = Block.objects.filter(released_by=request.id).values_list("key", flat=True)
        by_block = {target.before.get("block", target.key): target.key for target in request.targets}
        return Counter(by_block[key] for key in (*placed, *released))

    def digest(self) -> str:
        return repr((list(Block.objects.order_by("pk").values_list(*COLUMNS)), Listed.current()))

    def _blocks(self, request: Request) -> Any:
        return Block.objects.filter(
            key__in=[target.before.get("block", target.key) for target in request.targets]
        )

    def remember(self, request: Request) -> object:
        return list(self._blocks(request))

    def put_back(self, request: Request, remembered: object) -> None:
        self._blocks(request).delete()
        rows: Sequence[Block] = remembered if isinstance(remembered, list) else []
        Block.objects.bulk_create(rows)

    def occupy(self, request: Request) -> None:
        self._blocks(request).update(expires_at="2099-01-01T00:00:00Z")

    def replace_thing(self, request: Request) -> None:
        raise NotImplementedError("what a URL names doesn't change what is blocked")

    def lose_answer(self, *, after_effect: bool) -> None:
        self.book.lose = "after" if after_effect else "before"

    def take_offline(self, request: Request) -> None:
        raise NotImplementedError

    def fail_part(self, request: Request) -> set[str]:
        """Two that may not be blocked; or whose blocks somebody has changed."""
        failing = [request.targets[at] for at in (1, 3)]
        self.book.refused = {target.facts["url"] for target in failing}
        self.occupy(replace(request, targets=failing))
        return {target.key for target in failing}

    def locked_out(self) -> BlockList:
        raise NotImplementedError

    def ask_for_patience(self, seconds: float) -> None:
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> float:
        return self.time
