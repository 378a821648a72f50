"""The benchmark `pages`: what Pending and History cost, at any size, beside what they could cost."""

from actioncenter.bench.pages.running import run

__all__ = ["run"]
