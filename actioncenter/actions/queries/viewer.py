"""Who looks at a page: rights and clock, read once per request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.permissions import Rights, rights_of
from actioncenter.settings.access import Scope

ATTRIBUTE = "actioncenter_viewer"


@dataclass(frozen=True, slots=True)
class Viewer:
    """`now` is one moment for the whole page, so that an age and an expiry on it agree."""

    user: User
    rights: Rights
    now: datetime
    _read: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def scope(self) -> Scope:
        return self.rights.scope

    @property
    def zone(self) -> ZoneInfo:
        return self.user.zone

    def once(self, name: str, read: Callable[[], Any]) -> Any:
        """What several lists of one page need, read for the first of them."""
        if name not in self._read:
            self._read[name] = read()
        return self._read[name]

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.user.zone)

    def when(self, moment: datetime) -> str:
        """Time alone today, with the day otherwise."""
        local = self.local(moment)
        return f"{local:%H:%M}" if local.date() == self.local(self.now).date() else f"{local:%d %b %H:%M}"


def viewer_of(request: HttpRequest) -> Viewer:
    """The signed-in person of this request. A decision reads the rights afresh, under the fence."""
    known: Viewer | None = getattr(request, ATTRIBUTE, None)
    if known is None:
        if not isinstance(request.user, User):
            raise TypeError("nobody is signed in")
        known = Viewer(user=request.user, rights=rights_of(request.user), now=timezone.now())
        setattr(request, ATTRIBUTE, known)
    return known
