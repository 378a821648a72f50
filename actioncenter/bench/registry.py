"""Which benchmarks there are."""

from collections.abc import Callable, Mapping
from typing import Final

from actioncenter.bench import pages, policy
from actioncenter.bench.asked import Asked
from actioncenter.bench.report import Report

BENCHMARKS: Final[Mapping[str, Callable[[Asked], Report]]] = {
    "pages": pages.run,
    "policy": policy.run,
}

__all__ = ["BENCHMARKS", "Asked"]
