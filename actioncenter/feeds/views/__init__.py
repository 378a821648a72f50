"""What consumers pull, where links lead, and the pages of both."""

from actioncenter.feeds.views.click import click
from actioncenter.feeds.views.pages import add, clicks, overview, revoke
from actioncenter.feeds.views.pulling import pull

__all__ = ["add", "click", "clicks", "overview", "pull", "revoke"]
