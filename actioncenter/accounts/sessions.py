"""Sessions in the database that tell an outage from a session which has ended."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.db import InterfaceError, OperationalError


class SessionStore(db.SessionStore):
    def save(self, must_create: bool = False) -> None:
        """Django calls every failure to save a session that was deleted, which would answer 400."""
        try:
            super().save(must_create)
        except UpdateError as error:
            outage = error.__context__
            if isinstance(outage, OperationalError | InterfaceError):
                raise outage from outage.__cause__
            raise
