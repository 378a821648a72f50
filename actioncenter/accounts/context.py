from django.http import HttpRequest

from actioncenter.accounts.enums import Theme
from actioncenter.accounts.models import User

THEME_COOKIE = "theme"


def theme(request: HttpRequest) -> dict[str, str]:
    """`theme`: light, dark or "" where the browser decides; `theme_choice`: what was chosen."""
    user = getattr(request, "user", None)  # absent on pages for errors before the middleware
    if isinstance(user, User):
        choice = Theme(user.theme).name.lower()
    else:
        choice = request.COOKIES.get(THEME_COOKIE, "")
    if choice not in {"light", "dark"}:
        return {"theme": "", "theme_choice": "system"}
    return {"theme": choice, "theme_choice": choice}
