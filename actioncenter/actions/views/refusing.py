"""How these pages say no."""

from django.http import HttpRequest, HttpResponse

from actioncenter.accounts import proof
from actioncenter.actions.permissions import Refused
from actioncenter.web.refusing import because, refused

__all__ = ["denied", "refused"]


def denied(
    request: HttpRequest, refusal: Refused, *, back: str, way: tuple[str, str] | None = None
) -> HttpResponse:
    """403, or the question for the password where that is all that is missing."""
    if refusal.code == proof.CODE:
        return proof.ask(request, back=back, why=str(refusal))
    because(request, refusal.code)
    return refused(request, 403, "Not allowed", f"{refusal} Nothing was recorded.", way=way)
