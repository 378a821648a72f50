"""Sessions in the database that tell an outage from a session which has ended."""

from datetime import timedelta
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError
from django.db.models.expressions import RawSQL

from actioncenter.web.statements import Ago, Compiled, compiled, given, kept, rows_of


class SessionStore(db.SessionStore):
    def load(self) -> dict[str, Any]:
        """One statement of every page and poll, so it is compiled once."""
        found = rows_of(_data(), [self.session_key])
        if not found:
            self._session_key = None
            return {}
        return self.decode(found[0][0])

    def save(self, must_create: bool = False) -> None:
        """Django calls every failure to save a session that was deleted, which would answer 400."""
        try:
            super().save(must_create)
        except UpdateError as error:
            outage = error.__context__
            if isinstance(outage, OperationalError | InterfaceError):
                raise outage from outage.__cause__
            raise


@kept
def _data() -> Compiled | None:
    now = RawSQL("%s", [Ago(timedelta())])
    return compiled(Session.objects.filter(session_key=given(0), expire_date__gt=now).values("session_data"))
