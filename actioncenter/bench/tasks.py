"""Celery looks here when a worker of a benchmark starts."""

from actioncenter.bench import watched

__all__ = ["watched"]
