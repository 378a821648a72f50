"""Pages of investigations. Only they know of actions; the rest of the app doesn't."""

from investigations.views.detail import detail
from investigations.views.lists import listed

__all__ = ["detail", "listed"]
