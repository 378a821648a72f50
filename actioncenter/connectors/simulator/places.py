"""The cursor: how far a request has come, in words that survive a request that got shorter.

Callers leave out targets whose results they have, so places in the list mean nothing; keys do.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace

from actioncenter.connectors.base import Delivery, Json, Request, Target, Unknown


@dataclass(frozen=True, slots=True)
class Place:
    """`next` is the key to go on with: empty at the start, None when the list is through. `left`
    are keys passed over because they were offline, `seen` counts targets before `next`, `total` all.
    """

    next: str | None = ""
    left: tuple[str, ...] = ()
    seen: int = 0
    total: int = 0
    stage: int = 0
    not_before: float = 0.0

    @classmethod
    def read(cls, cursor: Json | None, request: Request) -> "Place":
        cursor = cursor or {}
        place = cls(**{**cursor, "left": tuple(cursor.get("left", ()))})
        return place if place.total else replace(place, total=len(request.targets))

    def json(self) -> Json:
        return {**asdict(self), "left": list(self.left)}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to look at in this step; `ahead` follows in the list, `passed` was left behind."""

    now: Sequence[Target]
    ahead: Sequence[Target]
    passed: Sequence[Target]


def remaining(
    place: Place, request: Request, delivery: Delivery, answered: Callable[[], Collection[str]]
) -> tuple[list[Target], list[Target]]:
    """The rest of the list, and those passed over. Raises Unknown where nobody can tell.

    Where the next target has gone from the request, its result was taken in but our cursor wasn't;
    then only a far side that knows its answers knows what is left.
    """
    passed = [target for target in request.targets if target.key in place.left]
    if place.next is None:
        return [], passed
    keys = [target.key for target in request.targets]
    if not place.next or place.next in keys:
        rest = request.targets[keys.index(place.next) if place.next else 0 :]
        return [target for target in rest if target.key not in place.left], passed
    if delivery is Delivery.BLIND:
        raise Unknown("It can't be told how far it came.", {"request": request.id})
    known = {*answered(), *place.left}
    return [target for target in request.targets if target.key not in known], passed


def choose(rest: Sequence[Target], passed: Sequence[Target], chunk: int) -> Chosen:
    """First along the list; those passed over are then looked at together, one may be back."""
    if rest:
        return Chosen(rest[:chunk], rest[chunk:], passed)
    return Chosen(passed, (), ())
