"""What every page shows beside its own content: who looks, what waits, what runs."""

from typing import Any, TypedDict

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from actioncenter.accounts.models import User
from actioncenter.accounts.request import way_back
from actioncenter.actions.queries import LiveCounts, Viewer, live_counts, viewer_of
from actioncenter.actions.queries.switches import Board, board_for
from actioncenter.audit import roles
from actioncenter.live.tag import list_tag
from actioncenter.settings.enums import Role

ATTRIBUTE = "actioncenter_counts"
ROLE_WORDS = {
    Role.AUDITOR: "Auditor",
    Role.ANALYST: "Analyst",
    Role.RESPONDER: "Responder",
    Role.EMAIL_RESPONDER: "Email responder",
    Role.ADMIN: "Admin",
}


class Nav(TypedDict):
    waiting: int
    running: int
    needs_look: int
    me_name: str
    me_initials: str
    me_role: str
    can_settings: bool
    can_audit: bool
    simulator: bool
    real: bool
    single_role: bool
    """Told to those who can read what the doctor says of it."""
    unread: int
    urgent: Any
    """The newest urgent notice not read yet, or None."""
    here: str
    """The page that shows all this, also where a poll answers."""
    switches: Board
    ptag: Any


def counts_of(request: HttpRequest) -> LiveCounts:
    """Read once per request, however many parts of the page show them."""
    known: LiveCounts | None = getattr(request, ATTRIBUTE, None)
    if known is None:
        viewer = viewer_of(request)
        known = live_counts(viewer.scope, viewer.user.pk)
        setattr(request, ATTRIBUTE, known)
    return known


def nav(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Pages for errors before sign-in have no `nav`."""
    if not isinstance(getattr(request, "user", None), User):
        return {}
    # Fragments are rendered with the same context and mostly show none of it.
    return {"nav": SimpleLazyObject(lambda: nav_of(request))}


def nav_of(request: HttpRequest) -> Nav:
    viewer, counts = viewer_of(request), counts_of(request)
    sees_everything = not viewer.rights.roles.isdisjoint({Role.ADMIN, Role.AUDITOR})
    return {
        "waiting": counts.pending,
        "running": counts.running,
        "needs_look": counts.needs_look,
        "me_name": viewer.user.shown_name,
        "me_initials": viewer.user.initials,
        "me_role": _role(viewer),
        "can_settings": sees_everything,
        "can_audit": sees_everything,
        "simulator": counts.simulator,
        "real": counts.real,
        "single_role": sees_everything and roles.is_single(),
        "unread": counts.unread,
        "urgent": viewer.user.notices.filter(pk=counts.urgent).first() if counts.urgent else None,
        "here": way_back(request),
        "switches": board_for(viewer),
        "ptag": SimpleLazyObject(lambda: list_tag(viewer, counts, "nav")),
    }


def _role(viewer: Viewer) -> str:
    names = ", ".join(words for role, words in ROLE_WORDS.items() if role in viewer.rights.roles)
    if not names:
        return "No role"
    groups = viewer.scope.groups
    if groups is None:
        return f"{names}, all groups"
    return f"{names}, {len(groups)} group{'' if len(groups) == 1 else 's'}"
