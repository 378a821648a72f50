from typing import Any

from django.http import HttpRequest

from actioncenter.accounts.enums import Theme
from actioncenter.accounts.models import User
from actioncenter.accounts.shortcuts import SHORTCUTS, USUAL, bindings

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


def shortcuts(request: HttpRequest) -> dict[str, Any]:
    """`keys`: what each command is bound to; `keys_on`; `keys_help`: all of them with what they do."""
    user = getattr(request, "user", None)
    known = isinstance(user, User)
    keys = bindings(user.shortcuts) if isinstance(user, User) else dict(USUAL)
    return {
        "keys": keys,
        "keys_on": not isinstance(user, User) or user.shortcuts_on,
        "keys_help": [each._replace(keys=keys[each.command]) for each in SHORTCUTS] if known else SHORTCUTS,
    }
