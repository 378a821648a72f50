"""Which benchmarks there are."""

from collections.abc import Callable, Mapping
from typing import Final

from actioncenter.bench.asked import Asked
from actioncenter.bench.audit import run as audit
from actioncenter.bench.chaos import run as chaos
from actioncenter.bench.clicks import run as clicks
from actioncenter.bench.decide import run as decide
from actioncenter.bench.dispatch import run as dispatch
from actioncenter.bench.export import run as export
from actioncenter.bench.live import run as live
from actioncenter.bench.mail import run as mail
from actioncenter.bench.pages import run as pages
from actioncenter.bench.policy import run as policy
from actioncenter.bench.report import Report
from actioncenter.bench.ssh import run as ssh

BENCHMARKS: Final[Mapping[str, Callable[[Asked], Report]]] = {
    "audit": audit,
    "chaos": chaos,
    "decide": decide,
    "dispatch": dispatch,
    "export": export,
    "live": live,
    "mail": mail,
    "pages": pages,
    "policy": policy,
    "ssh": ssh,
    "urls": clicks,
}

__all__ = ["BENCHMARKS", "Asked"]
