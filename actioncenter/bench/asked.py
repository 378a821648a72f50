"""What somebody asked a benchmark to do."""

from collections.abc import Callable
from dataclasses import dataclass

from actioncenter.bench.serving import Servers


@dataclass(frozen=True, slots=True)
class Asked:
    """`say` tells a person how far it is; results don't go there."""

    rows: int
    rounds: int
    seed: int
    database: str
    say: Callable[[str], None]
    minutes: float = 2.0
    servers: Servers | None = None
