"""Moved: how a page says no is the same everywhere."""

from actioncenter.web.refusing import refused

__all__ = ["refused"]
